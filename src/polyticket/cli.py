"""The `polyticket` command: tools for tickets, models and configurations outside the workflow."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from polyticket import __version__
from polyticket.core.errors import PolyticketError
from polyticket.core.extras import missing_message
from polyticket.core.files import require_apart
from polyticket.core.logs import INTERRUPTED
from polyticket.core.processes import set_for_jobs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0; 1 after one line on standard error that says what was wrong; or 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a language's own name
    set_for_jobs()
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.version:
        options.run = _show_version
    if "run" not in options:
        parser.error("the following arguments are required: COMMAND")
    try:
        options.run(options)
        sys.stdout.flush()
    except PolyticketError as error:
        print(f"polyticket: error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (message := missing_message(error)) is None:
            raise
        print(f"polyticket: error: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("polyticket: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output had enough
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is None:
            _drop_output()
        print(f"polyticket: error: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, where Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="polyticket",
        description="Tools for tickets, models and configurations. `snakemake` runs the workflow; see the README.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "--verbose", action="store_true", help="with --version: also print packages, processor and devices"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_config(commands.add_parser("config", help="check a configuration file"))
    _add_plan(commands.add_parser("plan", help="print what a run will cost, before it is launched"))
    languages = commands.add_parser("languages", help="list the known Wikipedia languages and their codes")
    languages.add_argument("--tsv", action="store_true", help="separate columns by tabs")
    languages.set_defaults(run=_languages)
    _add_ticket(commands.add_parser("ticket", help="show, compare, join, import, prune or export tickets"))
    _add_export(commands.add_parser("export", help="export the model of one language: folded, compact or ONNX"))
    _add_import(commands.add_parser("import-checkpoint", help="convert a published checkpoint into a model folder"))
    _add_store(commands.add_parser("store", help="list, verify or remove checkpoints at a store"))
    _add_worker(
        commands.add_parser("worker", help="take part in pretraining on several hosts, on each host but the first")
    )
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="check a configuration file as the workflow does")
    check.description = "Check a configuration file. A mistake ends in one line that names the key and what is allowed."
    check.add_argument("file", help="a YAML file, as for `snakemake --configfile`")
    check.add_argument("--print", action="store_true", help="print the configuration with all defaults, as YAML")
    check.set_defaults(run=_check_config)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the jobs of a run and what they cost, rule by rule: hours of cores and accelerators, memory, store "
        "traffic, disk and money; see docs/plan.md. Nothing runs. Run it where you run `snakemake`."
    )
    parser.add_argument("targets", nargs="*", metavar="target", help="results or rules, as for `snakemake`")
    parser.add_argument("--configfile", metavar="FILE", help="the configuration; default: the bundled sample's")
    parser.add_argument("--workflow", default=".", metavar="DIRECTORY", help="the folder of the Snakefile")
    parser.add_argument("--table", metavar="FILE", help="throughputs, sizes and prices in place of the package's own")
    parser.add_argument("--gpu", action="store_true", help="count jobs in PyTorch on GPUs, one each")
    parser.add_argument("--whole", action="store_true", help="count also jobs whose results are there")
    parser.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument(
        "--against", metavar="BENCHMARKS", help="compare with the benchmark files of a run: its results/benchmarks"
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure this machine, and write what it does in a second to --table"
    )
    parser.set_defaults(run=_plan)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.description = "See what is at a store, check it, and remove one directory of it; see docs/store.md."
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, run, text in (
        ("ls", _list_store, "list the directories: state, files, bytes, name"),
        ("verify", _verify_store, "compare the size and checksum of every file with the manifest of its directory"),
        ("rm", _remove_stored, "remove one directory: the files that its manifest names, the manifest first"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.add_argument(
            "url",
            help="for example file://store, gs://bucket/prefix or s3://bucket/prefix; for rm, of the directory itself",
        )
        action.set_defaults(run=run)
    action.add_argument("--yes", action="store_true", help="remove; without it, only print what would be removed")
    action.add_argument(
        "--incomplete", action="store_true", help="also a directory of an upload that did not end: all its files"
    )


def _add_worker(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take part in a pretraining phase on several hosts, on each host but the first. The environment variable "
        "TF_CONFIG names the hosts; see docs/pretraining.md."
    )
    parser.add_argument("store", help="the store of the run, for example gs://bucket/prefix or s3://bucket/prefix")
    parser.add_argument("phase", help="the directory of the phase at the store, for example pretraining/phase_1")
    parser.add_argument(
        "--wait",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="wait for the first host this long at most (default: 3600)",
    )
    parser.set_defaults(run=_worker)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a model folder with masks, for example results/model")
    parser.add_argument("--language", required=True, help="the code of the language")
    parser.add_argument(
        "--form",
        choices=["folded", "compact", "onnx"],
        default="folded",
        help="the form of the model; see docs/export.md",
    )
    parser.add_argument("--out", required=True, help="the directory to write")
    parser.add_argument("--vocabulary", choices=["all", "corpus"], default="all", help="the tokens to keep")
    parser.add_argument("--corpus", help="the corpus: a text file of sentences, or a directory of tokens")
    parser.add_argument("--sentences", help="a text file of sentences on which the export is compared with the model")
    parser.add_argument("--count", type=int, default=64, help="compare on at most N sentences")
    parser.add_argument("--threads", type=int, default=1, help="compute threads")
    parser.add_argument(
        "--measure", action="store_true", help="also measure latency and memory of the export and of dense models"
    )
    parser.set_defaults(run=_export)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Convert a TensorFlow or PyTorch checkpoint, including published masks, into a model folder; see "
        "docs/tickets.md."
    )
    parser.add_argument(
        "source", help="a TensorFlow checkpoint (prefix or directory), or a PyTorch file or model folder"
    )
    parser.add_argument("out", help="the model folder to write")
    parser.add_argument("--config", metavar="FILE", help="config.json or bert_config.json; default: beside the weights")
    parser.add_argument("--tokenizer", metavar="DIRECTORY", help="the tokenizer's files; default: beside the weights")
    parser.add_argument(
        "--languages",
        metavar="CODES",
        help="the languages of the mask rows: `en,fr,…`, or a file of codes; default: all 103",
    )
    parser.add_argument(
        "--mask-method",
        metavar="METHOD",
        help="linear, constant, or one per kind of site: `value=constant,pool=constant`",
    )
    parser.add_argument(
        "--layer-norm-eps",
        type=float,
        metavar="EPSILON",
        help="epsilon of LayerNorm; default with published masks: 1e-3",
    )
    parser.add_argument(
        "--hidden-act", choices=["gelu", "gelu_new"], help="activation function; default with published masks: gelu_new"
    )
    parser.set_defaults(run=_import_checkpoint)


def _add_ticket(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show how a ticket was made, and the density of each row")
    show.add_argument("file", help="a ticket, for example results/ticket.safetensors")
    show.set_defaults(run=_show_ticket)
    compare = actions.add_parser("compare", help="compare the languages of one or several tickets")
    compare.add_argument("files", nargs="+", metavar="file", help="tickets of the same model")
    compare.add_argument(
        "--rows", nargs="+", default=(), help="the rows to compare; of several files: <file name>:<row>"
    )
    compare.add_argument(
        "--measure",
        choices=["jaccard", "agreement", "intersection", "union", "difference"],
        default="jaccard",
        help="the measure that the matrix of pairs shows",
    )
    compare.set_defaults(run=_compare_tickets)
    for one in (show, compare):
        one.add_argument(
            "--by",
            choices=["all", "layer", "component", "site"],
            default="component",
            help="the groups of sites that the columns show",
        )
        one.add_argument("--tsv", action="store_true", help="separate columns by tabs")
    join = actions.add_parser("join", help="add a language to a ticket; the other rows do not change")
    join.add_argument("file", help="the ticket")
    join.add_argument("saliency", help="the new language's saliency file")
    join.add_argument("out", help="the ticket to write")
    join.add_argument(
        "--rule",
        choices=["threshold", "budget"],
        help="threshold: keep scores from the ticket's lowest kept score on; budget: keep the ticket's remain ratio; "
        "default: threshold if the ticket has one",
    )
    join.set_defaults(run=_join_ticket)
    take = actions.add_parser("import", help="make a ticket of weights from masks (mask.pt, .npz, .safetensors)")
    take.add_argument("masks", nargs="+", metavar="row=mask.pt", help="the name of a row, and the file of its mask")
    take.add_argument("--out", required=True, help="the ticket to write")
    take.set_defaults(run=_import_masks)
    cut = actions.add_parser("prune", help="make a ticket of weights by magnitude pruning of a model")
    cut.add_argument("model", help="the directory or Hugging Face name of a BERT or mT5")
    cut.add_argument("out", help="the ticket to write")
    cut.add_argument("--sparsity", type=float, required=True, help="the share of weights to prune, in percent")
    cut.add_argument("--joint-pool", action="store_true", help="prune an mT5's encoder and decoder in one joint pool")
    cut.add_argument(
        "--without-pooler", action="store_true", help="do not prune the pooler, as for tasks that do not read it"
    )
    cut.set_defaults(run=_prune_model)
    give = actions.add_parser("export", help="export the masks of a sub-network with the published names, in float32")
    give.add_argument("file", help="a ticket of weights, for example results/subnetworks/panx/fr/50.safetensors")
    give.add_argument(
        "out", help="the safetensors file to write; each mask is named ….weight_mask and is 1 for kept weights"
    )
    give.add_argument("--row", help="the row, if the ticket has several")
    give.set_defaults(run=_export_masks)


def _show_version(options: argparse.Namespace) -> None:
    print(f"polyticket {__version__}")
    if options.verbose:
        from polyticket.core.installation import installation  # PyTorch and TensorFlow are not needed for the version

        print("\n".join(installation()))


def _check_config(options: argparse.Namespace) -> None:
    import yaml

    from polyticket.config.completion import complete, read_config
    from polyticket.config.places import check_places

    config = complete(read_config(options.file))
    check_places(config)
    if options.print:
        print(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), end="")
    else:
        print(f"{options.file}: no mistake; languages: {', '.join(config['languages'])}")


def _plan(options: argparse.Namespace) -> None:
    from polyticket.costs.benchmarks import compare, compared_csv, compared_text, read_benchmarks
    from polyticket.costs.jobs import list_jobs
    from polyticket.costs.plan import csv_text, plan_of, table_text
    from polyticket.costs.table import read_table

    if options.measure:
        _measure(options)
        return
    table = read_table(options.table)
    measured = read_benchmarks(options.against) if options.against else None
    given = ["--configfile", options.configfile] if options.configfile else []
    listing = list_jobs(options.workflow, [*given, *(["--", *options.targets] if options.targets else [])])
    if measured is not None:
        rows = compare(listing, table, measured)
        print((compared_csv if options.csv else compared_text)(rows), end="")
        return
    plan = plan_of(listing, table, whole=options.whole, gpu=options.gpu)
    print(csv_text(plan) if options.csv else table_text(plan, money=table.has_prices()), end="")
    for rule in plan.unknown:
        print(f"polyticket: of {rule} only the start is counted: its work has no model", file=sys.stderr)


def _measure(options: argparse.Namespace) -> None:
    from pathlib import Path

    from polyticket.core.files import write_text
    from polyticket.core.logs import logged_to_screen
    from polyticket.costs.measure import measure
    from polyticket.costs.table import default_text, filled, read_table

    if not options.table:
        raise PolyticketError("no file", where="--table", expected="the table to write, with --measure")
    read_table(options.table if Path(options.table).exists() else None)  # refuses what is no table
    text = Path(options.table).read_text(encoding="utf-8") if Path(options.table).exists() else default_text()
    with logged_to_screen():
        machine, values = measure(options.workflow)
    write_text(options.table, filled(text, machine, values))
    print(f"{options.table}: {machine}")


def _languages(options: argparse.Namespace) -> None:
    from polyticket.core.languages import LANGUAGES

    rows = [("row", "code", "language", "scripts", "direction", "splitter", "rules", "own name")]
    for row, entry in enumerate(LANGUAGES.values()):
        writing = (", ".join(entry.scripts), entry.direction, entry.splitter, entry.rules or "-")
        rows.append((str(row), entry.code, entry.name, *writing, entry.native))
    widths = [0 if options.tsv else max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for cells in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        print(("\t" if options.tsv else "  ").join([*padded, cells[-1]]))


def _show_ticket(options: argparse.Namespace) -> None:
    from polyticket.tickets.report import show_ticket  # numpy and safetensors are not needed for --help

    print(show_ticket(options.file, by=options.by, tsv=options.tsv), end="")


def _compare_tickets(options: argparse.Namespace) -> None:
    from polyticket.tickets.report import compare_tickets

    print(
        compare_tickets(options.files, rows=options.rows, by=options.by, measure=options.measure, tsv=options.tsv),
        end="",
    )


def _join_ticket(options: argparse.Namespace) -> None:
    from polyticket.tickets.algebra import nearest, similarity
    from polyticket.tickets.new_language import join_file
    from polyticket.tickets.ticket import read_ticket, write_ticket

    require_apart(options.out, options.saliency)
    made = join_file(read_ticket(options.file), options.saliency, rule=options.rule)
    write_ticket(made, options.out)
    language = made.languages[-1]
    print(f"{language} keeps {made.density(language):.4f}; nearest:")
    for found in nearest(similarity(made), language):
        print(f"{found.language}\tJaccard {found.jaccard:.4f} (by chance {found.expected:.4f})")


def _import_masks(options: argparse.Namespace) -> None:
    from polyticket.tickets.published_masks import import_masks
    from polyticket.tickets.ticket import write_ticket

    named = dict(one.partition("=")[::2] for one in options.masks)
    if len(named) < len(options.masks) or not all(named.values()):
        raise PolyticketError(
            "a row has no file, or is named twice", where="masks", expected="row=mask.pt, each row once"
        )
    require_apart(options.out, *named.values())
    write_ticket(import_masks(named), options.out)


def _prune_model(options: argparse.Namespace) -> None:
    from polyticket.pruning.model_masks import write_original

    require_apart(options.out, options.model)
    how = {"joint_pool": options.joint_pool, "pooler": not options.without_pooler}
    write_original(options.model, options.out, options.sparsity, **how)


def _export_masks(options: argparse.Namespace) -> None:
    from polyticket.tickets.published_masks import export_masks
    from polyticket.tickets.ticket import read_ticket

    require_apart(options.out, options.file)
    export_masks(read_ticket(options.file), options.out, options.row)


def _export(options: argparse.Namespace) -> None:
    from polyticket.export.card import measure_export, write_timings
    from polyticket.export.language import export_language

    passed = ("language", "form", "vocabulary", "corpus", "sentences", "count", "threads")
    export_language(options.model, options.out, **{name: getattr(options, name) for name in passed})
    if options.measure:
        write_timings(measure_export(options.out, threads=options.threads), options.out)


def _import_checkpoint(options: argparse.Namespace) -> None:
    from polyticket.core.logs import logged_to_screen
    from polyticket.model.checkpoint_import import import_checkpoint, read_codes
    from polyticket.model.mask_methods import checked_method, method_text

    method = options.mask_method
    if method and "=" in method:
        method = checked_method(dict(one.partition("=")[::2] for one in method.split(",")), "--mask-method")
    given = {"layer_norm_eps": options.layer_norm_eps, "hidden_act": options.hidden_act}
    with logged_to_screen():
        made = import_checkpoint(
            options.source,
            options.out,
            config=options.config,
            tokenizer=options.tokenizer,
            languages=read_codes(options.languages) if options.languages else None,
            mask_method=method,
            computed={key: value for key, value in given.items() if value is not None},
        )
    shape, count = made.shape, len(made.languages)
    masks = f"masks of {count} languages, {method_text(made.mask_method)}" if count else "no masks"
    print(f"{options.out}: {masks}; layer_norm_eps {shape.layer_norm_eps:g}, {shape.hidden_act}")


def _list_store(options: argparse.Namespace) -> None:
    from polyticket.store.base import open_store
    from polyticket.store.upkeep import contents

    store = open_store(options.url)
    stored = contents(store)
    if not stored:
        print(f"polyticket: {store.url}: nothing is there", file=sys.stderr)
    for found in stored:
        state, size = ("incomplete", "-") if found.total_bytes is None else ("complete", str(found.total_bytes))
        print(f"{state}\t{found.files}\t{size}\t{found.name or '.'}")


def _verify_store(options: argparse.Namespace) -> None:
    from polyticket.store.base import open_store
    from polyticket.store.directories import list_directories
    from polyticket.store.upkeep import faults

    store = open_store(options.url)
    directories, damaged = list_directories(store), 0
    for directory in directories:
        wrong = faults(store, directory)
        damaged += bool(wrong)
        print("\n".join(wrong) or f"{directory or '.'}: sound")
    if damaged or not directories:
        what = f"{damaged} of {len(directories)} directories are damaged" if directories else "no complete directory"
        raise PolyticketError(what, where=store.url)


def _remove_stored(options: argparse.Namespace) -> None:
    from polyticket.store.base import open_store
    from polyticket.store.upkeep import removable

    store = open_store(options.url)
    names = removable(store, incomplete=options.incomplete)
    for name in names:
        if options.yes:
            store.delete(name)
        print(f"{'removed' if options.yes else 'would remove'} {name}")


def _worker(options: argparse.Namespace) -> None:
    from polyticket.core.logs import logged_to_screen
    from polyticket.pretraining.run import work

    with logged_to_screen():
        made = work(options.store, options.phase, wait=options.wait)
    print(f"step {made.history[-1].step}: loss {made.history[-1].total_loss:.4g}")


if __name__ == "__main__":
    sys.exit(main())
