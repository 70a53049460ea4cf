"""Whether little enough markup is left in a language's sentences."""

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged
from polyticket.corpus.ledger import check_ledger, leftover_per_million


def main(ledger: str, checked: str, *, most_leftover: float | None) -> None:
    found = read_json(ledger)
    check_ledger(found, most_leftover)
    write_json(checked, {"leftover_per_million": leftover_per_million(found), "most_leftover": most_leftover})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.ledger, snakemake.output.checked, most_leftover=snakemake.params.most_leftover)
