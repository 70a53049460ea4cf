"""One language's ticket folded into a plain BERT folder."""

from pathlib import Path

from polyticket.files import written_beside
from polyticket.logs import logged
from polyticket.model.folder import copy_tokenizer, read_model, write_model
from polyticket.model.folding import fold


def main(model: str, exported: str, *, language: str) -> None:
    with written_beside(exported, folder=True) as place:
        write_model(fold(read_model(model), language), place)
        copy_tokenizer(Path(model), place)


with logged(snakemake.log[0]):
    main(snakemake.input.model, snakemake.output.model, language=snakemake.wildcards.lang)
