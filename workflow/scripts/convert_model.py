"""The pretrained checkpoint as a Hugging Face folder, masks included."""

from polyticket.core.files import written_beside
from polyticket.core.logs import logged
from polyticket.model.folder import write_model
from polyticket.model.tf_checkpoint import read_model_checkpoint
from polyticket.store.directories import named_by, read_named


def main(receipt: str, tokenizer: str, model: str) -> None:
    found = read_named(named_by(receipt), read_model_checkpoint)
    with written_beside(model, folder=True) as place:
        write_model(found, place, tokenizer=tokenizer)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.receipt, snakemake.input.tokenizer, snakemake.output.model)
