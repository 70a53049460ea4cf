"""Initial weights and all languages' masks as a name-based TensorFlow checkpoint."""

from polyticket.core.files import written_beside
from polyticket.core.logs import logged
from polyticket.model.folder import read_model
from polyticket.model.mask_methods import MaskMethod
from polyticket.model.tf_checkpoint import write_model_checkpoint
from polyticket.tickets.masked_model import with_ones, with_ticket
from polyticket.tickets.ticket import read_ticket


def main(model: str, ticket: str | None, checkpoint: str, *, languages: list[str], mask_method: MaskMethod) -> None:
    initial = read_model(model)
    made = with_ticket(initial, read_ticket(ticket), mask_method) if ticket else with_ones(initial, languages)
    with written_beside(checkpoint, folder=True) as place:
        write_model_checkpoint(made, place)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.model,
            snakemake.input.get("ticket") or None,
            snakemake.output.checkpoint,
            languages=snakemake.params.languages,
            mask_method=snakemake.params.mask_method,
        )
