"""Inputs, parameters and resources of the rules in dumps.smk."""

from functools import cache
from os.path import exists, getsize

from polyticket.config.completion import placed
from polyticket.core.errors import PolyticketError
from polyticket.dumps.dump import dump_files
from polyticket.dumps.sources import is_url, local_dumps

BYTES_PER_RANGE = 256 * 10**6


def dumps_of(wildcards):
    """The dump files of a language, or the receipt of those that are downloaded."""
    if dumps_url():
        return [f"<results>/dumps/{wildcards.lang}.json"]
    return local_dumps_of(wildcards.lang)


def dumps_url():
    """The URL of the dumps with `{lang}` and `{date}` in it; null for dumps on disk, or if none are configured."""
    pattern = config["data"]["dumps"]
    try:
        pattern = pattern and placed(pattern, key="data.dumps")
    except PolyticketError as error:
        stop(error)
    return pattern if pattern and is_url(pattern) else None


def download_folder(lang):
    """Where the downloaded dumps of a language are."""
    return placed_or_stop(config["download"]["directory"], "download.directory", lang)


@cache
def local_dumps_of(lang):
    """The dump files of a language on disk, part 2 before part 10."""
    pattern = placed_or_stop(config["data"]["dumps"], "data.dumps", lang)
    try:
        found = [] if pattern is None else local_dumps(pattern)
    except PolyticketError as error:
        stop(error)
    if not found:
        stop(
            PolyticketError(
                f"no dump of {lang!r} at {pattern}" if pattern else "not set",
                where="config data.dumps",
                expected="a glob of *.xml or *.xml.bz2 files",
            )
        )
    return found


def templates_of(wildcards):
    """The language's templates, unless they are dropped."""
    wanted = config["extraction"]["templates"]
    return "<results>/corpus/{lang}/templates.xml" if wanted else []


@cache
def ranges_of(lang):
    """The number of jobs that extract a language: as configured, or by the size of its dumps."""
    ranges = config["extraction"]["ranges"]
    if isinstance(ranges, dict):
        return ranges.get(lang, 1)
    if ranges is None and not dumps_url():
        ranges = 1 + sum(map(getsize, local_dumps_of(lang))) // BYTES_PER_RANGE
    return ranges or 1


def megabytes(paths):
    """The size of files that are there; of downloaded dumps if their receipt is given."""
    files = dump_files(filter(exists, paths))
    return sum(getsize(file) for file in files if exists(file)) / 10**6


def templates_minutes(wildcards, input, attempt):
    """Minutes to collect templates, at 600 MB of packed dumps a minute on all threads."""
    return attempt * (10 + int(megabytes(input.dumps) / 600))


def extraction_mb(wildcards, input):
    """Memory to extract a byte range: every process holds all templates."""
    held = [path for path in input if path.endswith("templates.xml")]
    return int(1500 + 4 * megabytes(held))


def extraction_minutes(wildcards, input, attempt):
    """Minutes to extract a byte range, at 20 MB of a packed dump a minute."""
    return attempt * (10 + int(megabytes(input.dumps) / ranges_of(wildcards.lang) / 20))


def extraction_disk_mb(wildcards, input):
    """Disk for the articles of a byte range."""
    return int(100 + 5 * megabytes(input.dumps) / ranges_of(wildcards.lang))
