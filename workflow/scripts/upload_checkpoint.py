"""Send a checkpoint folder to a store and write down what stands there."""

from polyticket.files import write_json
from polyticket.logs import logged
from polyticket.store.base import open_store
from polyticket.store.folders import upload_folder


def main(checkpoint: str, receipt: str, *, url: str) -> None:
    write_json(receipt, upload_folder(open_store(url), checkpoint))


with logged(snakemake.log[0]):
    main(snakemake.input.checkpoint, snakemake.output.receipt, url=snakemake.params.url)
