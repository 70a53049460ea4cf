"""The pretrained checkpoint as a Hugging Face folder, masks included."""

from polyticket.core.files import written_beside
from polyticket.core.logs import logged
from polyticket.model.folder import write_model
from polyticket.model.tf_checkpoint import read_model_checkpoint
from polyticket.store.directories import read_stored_directory, stored_directory


def main(receipt: str, tokenizer: str, model: str) -> None:
    found = read_stored_directory(stored_directory(receipt), read_model_checkpoint)
    with written_beside(model, folder=True) as place:
        write_model(found, place, tokenizer=tokenizer)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.receipt, snakemake.input.tokenizer, snakemake.output.model)
