"""The download of one language's dumps, and its receipt."""

from typing import Any

from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.dumps.download import download_dumps


def main(receipt: str, *, pattern: str, folder: str, lang: str, **options: Any) -> None:
    write_json(receipt, download_dumps(pattern, folder, lang=lang, **options))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.output.receipt,
            folder=snakemake.params.folder,
            connections=snakemake.threads,
            contact=snakemake.resources.contact or None,
            lang=snakemake.wildcards.lang,
            **snakemake.params.options,
        )
