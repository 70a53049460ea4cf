"""The `polyticket` command: what is handy outside the workflow."""

import argparse
import json
import sys
from collections.abc import Sequence

from polyticket import __version__
from polyticket.errors import PolyticketError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, or 1 after one line on standard error that says what was wrong.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except PolyticketError as error:
        print(f"polyticket: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the output had enough
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="polyticket",
        description="What is handy outside the workflow; the work itself is done by `snakemake`, see the README.",
    )
    parser.add_argument("--version", action="version", version=f"polyticket {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    languages = commands.add_parser("languages", help="list the languages that `languages` may name by code")
    languages.add_argument("--tsv", action="store_true", help="a tab between columns, for programs")
    languages.set_defaults(run=_languages)
    ticket = commands.add_parser("ticket", help="look into a ticket file")
    actions = ticket.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print how a ticket was made and what each language keeps")
    show.add_argument("file", help="a ticket, for example results/ticket.safetensors")
    show.set_defaults(run=_show_ticket)
    return parser


def _languages(options: argparse.Namespace) -> None:
    from polyticket.languages import LANGUAGES

    rows = [("row", "code", "language", "scripts", "direction", "splitter", "rules", "own name")]
    for row, found in enumerate(LANGUAGES.values()):
        how = (found.direction, found.splitter, found.rules or "-")
        rows.append((str(row), found.code, found.name, ", ".join(found.scripts), *how, found.native))
    widths = [0 if options.tsv else max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for cells in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        print(("\t" if options.tsv else "  ").join([*padded, cells[-1]]))


def _show_ticket(options: argparse.Namespace) -> None:
    from polyticket.tickets.ticket import read_ticket  # numpy and safetensors are not needed for --help

    ticket = read_ticket(options.file)
    print(json.dumps({name: value for name, value in ticket.provenance.items() if name != "scores"}))
    print("language\tdensity")
    for language in ticket.languages:
        print(f"{language}\t{ticket.density(language):.4f}")


if __name__ == "__main__":
    sys.exit(main())
