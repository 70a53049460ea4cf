"""Run the benchmarks, or those that are named, and print one table of their ratios at the end.

What each found stands in `summary.json`, by instruction set: a run replaces what it measures and leaves the rest. The
table is compared with the committed file: a ratio that fell by more than a quarter is named, and so is one below its
target. Ratios are compared, and not seconds, because both sides of a ratio share the processor and its load.

`--table` prints the table of the committed figures, which the README quotes; `make docs` puts it there.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
SUMMARY = HERE / "summary.json"
SLOWER = 0.8
"""A ratio below this share of the committed one took more than a quarter longer."""

Found = dict[str, Any]  # the JSON line of a benchmark
Summary = dict[str, dict[str, Found]]  # by instruction set and benchmark


class Row(NamedTuple):
    """One ratio of a benchmark: its name, value and target (None without one)."""

    name: str
    value: float
    target: float | None


def names() -> list[str]:
    """The benchmarks: the scripts beside this one that report."""
    own = {Path(__file__).stem, "side_by_side"}
    return [
        path.stem
        for path in sorted(HERE.glob("*.py"))
        if path.stem not in own and re.search(r"^ {4}report\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def run(name: str) -> Found | None:
    """Run a benchmark, showing what it prints; its JSON line, or None if it ended without one.

    A benchmark that misses its own limits fails after its line, which then holds `failed`.
    """
    found: Found | None = None
    with subprocess.Popen([sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith('{"benchmark": '):
                found = json.loads(line)
    if found is not None and process.returncode:
        found["failed"] = True
    return found


def read() -> Summary:
    """The summary as it stands."""
    return json.loads(SUMMARY.read_text(encoding="utf-8")) if SUMMARY.is_file() else {}


def committed() -> Summary:
    """The summary of the last commit; as it stands where there is no repository."""
    command = ["git", "-C", str(HERE), "show", f"HEAD:./{SUMMARY.name}"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return read()
    return json.loads(shown)


def write(summary: Summary) -> None:
    """Write the summary, a benchmark a line."""
    lines = [
        f" {json.dumps(kind)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(benchmarks.items()))
        + "\n }"
        for kind, benchmarks in sorted(summary.items())
    ]
    SUMMARY.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def rows(found: Found) -> Iterator[Row]:
    """The ratios of a benchmark, the main one under its own name."""
    yield Row(found["benchmark"], found["ratio"], found.get("target"))
    for name, one in found.get("others", {}).items():
        yield Row(f"{found['benchmark']}: {name}", one["ratio"], one.get("target"))


def slower(summary: Summary, before: Summary) -> list[str]:
    """A sentence for each ratio that fell by more than a quarter, and for each that is below its target."""
    said = []
    for kind, benchmarks in summary.items():
        for name, found in benchmarks.items():
            old = {row.name: row.value for row in rows(before.get(kind, {}).get(name, found))}
            for row in rows(found):
                if row.value < SLOWER * old.get(row.name, row.value):
                    said.append(f"{row.name} on {kind} got slower: {old[row.name]:g} before, {row.value:g} now")
                if row.target is not None and row.value < row.target:
                    said.append(f"{row.name} on {kind} is below its target: {row.value:g} of {row.target:g}")
    return said


def memory(found: Found) -> str:
    """How memory and CPU seconds grow with the size of the task: the smallest and the largest."""
    sizes = {int(size): used for size, used in found.get("sizes", {}).items()}
    ends = sorted({min(sizes), max(sizes)}) if sizes else []
    return "; ".join(f"{n:,}: {sizes[n]['seconds']:.3g} s, {sizes[n]['megabytes']:.0f} MB" for n in ends)


def table(summary: Summary) -> str:
    """All ratios as a table of Markdown: a row each, a column for every instruction set; empty without any."""
    kinds = sorted(summary)
    cells: dict[str, dict[str, str]] = {}
    more: dict[str, str] = {}
    for kind in kinds:
        for found in summary[kind].values():
            for row in rows(found):
                aim = "" if row.target is None else f" (≥ {row.target:g})"
                cells.setdefault(row.name, {})[kind] = f"{row.value:.3g}{aim}, load {found['load']:g}"
            more[found["benchmark"]] = memory(found) or more.get(found["benchmark"], "")
    if not kinds:
        return ""
    lines = [f"| benchmark | {' | '.join(kinds)} | size: time, memory |", "|---" * (len(kinds) + 2) + "|"]
    lines += [
        f"| {name} | {' | '.join(cell.get(kind, '') for kind in kinds)} | {more.get(name, '')} |"
        for name, cell in sorted(cells.items())
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", nargs="*", help=f"one of {', '.join(names())}; all without")
    parser.add_argument("--table", action="store_true", help="print the table of the file, and measure nothing")
    asked = parser.parse_args()
    summary = read()
    if asked.table:
        print(table(summary))
        return
    if unknown := set(asked.benchmark).difference(names()):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    before, broken, measured = committed(), [], Summary()
    for name in asked.benchmark or names():
        print(f"== {name}", flush=True)
        found = run(name)
        if found is None or found.get("failed"):
            broken.append(name)
        if found is not None:
            measured.setdefault(found["instructions"], {})[name] = found
            summary.setdefault(found["instructions"], {})[name] = found
            write(summary)
    print(f"\n{table(measured)}")
    for sentence in slower(measured, before):
        print(sentence)
    if broken:
        sys.exit(f"failed: {', '.join(broken)}")


if __name__ == "__main__":
    main()
