"""The text ledgers of all languages as one table."""

from polyticket.core.files import read_json
from polyticket.core.logs import log, logged
from polyticket.figures.ledger import ledger_table, write_ledger_page, write_ledgers
from polyticket.figures.outliers import outliers_of


def main(ledgers: list[str], table: str, page: str, *, languages: list[str]) -> None:
    found = ledger_table(languages, [read_json(path) for path in ledgers])
    warnings = outliers_of(found)
    for language, lines in warnings.items():
        for line in lines:
            log.warning("%s: %s", language, line)
    write_ledgers(found, table, warnings)
    write_ledger_page(found, page, warnings)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.ledgers),
            snakemake.output.table,
            snakemake.output.page,
            languages=list(snakemake.params.languages),
        )
