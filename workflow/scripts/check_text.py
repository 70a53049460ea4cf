"""Check that a language's sentences hold little residual markup."""

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged
from polyticket.corpus.ledger import check_ledger, residual_markup_per_million


def main(ledger: str, checked: str, *, max_residual_markup: float | None) -> None:
    counts = read_json(ledger)
    check_ledger(counts, max_residual_markup)
    rate = residual_markup_per_million(counts)
    write_json(checked, {"residual_markup_per_million": rate, "max_residual_markup": max_residual_markup})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.ledger, snakemake.output.checked, max_residual_markup=snakemake.params.max_residual_markup)
