"""One result of all seeds of a task and language: means, deviations, and what each seed has of its own."""

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged
from polyticket.tasks.summary import summarize


def main(results: list[str], result: str) -> None:
    write_json(result, summarize([read_json(path) for path in results]))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.results), snakemake.output.result)
