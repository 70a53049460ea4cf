"""Upload a checkpoint directory to a store and write its receipt."""

from pathlib import Path

from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.store.base import open_store
from polyticket.store.directories import owner_of, upload_owned


def main(checkpoint: str, receipt: str, *, store: str, stem: str) -> None:
    write_json(receipt, upload_owned(open_store(store), checkpoint, stem, owner_of(Path(receipt).parent)))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.checkpoint,
            snakemake.output.receipt,
            store=snakemake.params.store,
            stem=snakemake.params.stem,
        )
