"""Examples of Hugging Face data sets: on the hub, in the library's cache, or a local copy.

Data sets that have the columns of the tasks: ``unimelb-nlp/wikiann/fr``, ``google/xtreme/PAN-X.fr`` (panx);
``universal-dependencies/universal_dependencies/fr_gsd``, ``google/xtreme/udpos.French`` (udpos); ``facebook/xnli/fr``
(xnli); ``wikimedia/wikipedia/20231101.fr`` (mlm). The library downloads a data set once and keeps it below ``HF_HOME``;
``@revision`` fixes what is read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import scratch_folder
from polyticket.tasks.data.names import Address
from polyticket.tasks.data.rows import LANGUAGE_KEYS, examples_of, require_language
from polyticket.tasks.data.text_files import count_words
from polyticket.tasks.examples import Sentence, Text
from polyticket.tasks.table import Task

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

OTHER_NAMES = {"dev": ("validation", "valid", "val")}
"""What data sets call the splits that we call otherwise."""
SHOWN = 60
"""Names that an error lists at most."""


def open_dataset(address: Address) -> "DatasetDict":
    """Open all splits of a data set, downloaded if they are not in the cache.

    Raises:
        PolyticketError: The hub can't be reached; there is no such data set or configuration; its files can't be read.
    """
    import datasets

    with _quiet(), scratch_folder() as scratch:
        try:
            if address.local and (saved := _saved(address)):
                return saved
            # The cache knows a local copy by the folder's last name alone, and would give what stood there before. Here
            # the examples stay readable when the folder is gone, since the files are open.
            cache = str(scratch) if address.local else None
            builder = datasets.load_dataset_builder(
                address.name, address.config, revision=address.revision, cache_dir=cache
            )
            builder.download_and_prepare()
            splits: datasets.DatasetDict = builder.as_dataset()
        except PolyticketError:
            raise
        except Exception as error:  # of many libraries below, all of which mean that the data set can't be had
            raise _readable(error, address) from error
    return splits


def _saved(address: Address) -> "DatasetDict | None":
    """The splits of a directory that the library's `save_to_disk` wrote; None if it is none."""
    import datasets

    place = Path(address.name, *([address.config] if address.config else []))
    if (place / "dataset_dict.json").is_file():
        return datasets.DatasetDict.load_from_disk(place)
    if (place / "state.json").is_file():
        expected = "the directory above, with dataset_dict.json, where all splits are saved together"
        raise PolyticketError("one split that was saved by itself", where=place, expected=expected)
    return None


def read_split(data: "DatasetDict", name: str, task: Task, source: str, language: str) -> tuple[str, list[Any], int]:
    """Read one split.

    Args:
        data: The data set.
        name: Of the split; dev is also found as validation.
        task: What its examples are, and what columns may be called. Labels are texts, or numbers with names in the
            data set; words whose tags the task drops are left out, as are sentences without words and empty texts.
        source: What the data set is called in errors.
        language: That of all rows, where they say one.

    Returns:
        What the data set calls the split, its examples, and the number of words that are left out.

    Raises:
        PolyticketError: The split or a column is missing, or a row has an unknown label or none; names the row, from 0.
            Or rows are of several languages, or of another.
    """
    present = next((one for one in (name, *OTHER_NAMES.get(name, ())) if one in data), None)
    if present is None:
        expected = f"another one in its place (splits), of {', '.join(data)}"
        raise PolyticketError(f"no {name} split", where=source, expected=expected)
    part, where = data[present], f"{source}:{present}"
    columns = [
        _column(part, names, field, where) for names, field in zip(task.columns, task.examples._fields, strict=True)
    ]
    for key in LANGUAGE_KEYS:
        require_language(_codes(part, key), language, where)
    values = part.select_columns(columns)[:]
    names = None if task.examples is Text else _names(part, columns[-1])
    rows = enumerate(zip(*(values[column] for column in columns), strict=True))
    examples = [example for row, fields in rows for example in examples_of(fields, names, task, where, row)]
    if task.examples is not Sentence:
        return present, examples, 0
    return present, examples, sum(len(words or ()) for words in values[columns[0]]) - count_words(examples)


def _column(part: "Dataset", names: Sequence[str], field: str, where: str) -> str:
    for name in names:
        if name in part.features:
            return name
    expected = f"a column {' or '.join(names)}"
    raise PolyticketError(f"no {field} among {', '.join(part.features)}", where=where, expected=expected)


def _codes(part: "Dataset", column: str) -> set[str]:
    """The languages in a column of texts or of labels with names; none of another column, or of none."""
    feature = part.features.get(column)
    names: list[str] | None = getattr(feature, "names", None)
    if names is not None:
        return {names[number] for number in part.unique(column) if number in range(len(names))}
    is_text = getattr(feature, "dtype", None) in ("string", "large_string", "string_view")
    return {code for code in part.unique(column) if code} if is_text else set()


def _names(part: "Dataset", column: str) -> list[str] | None:
    """The names of a column's labels, or of the labels in its lists; None if it has none."""
    feature = part.features[column]
    names: list[str] | None = getattr(getattr(feature, "feature", feature), "names", None)
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars of progress and no advice on the way: a job's log is read by people."""
    import datasets
    from huggingface_hub import utils

    bars = not datasets.are_progress_bars_disabled(), not utils.are_progress_bars_disabled()
    level = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    utils.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars[0]:
            datasets.enable_progress_bars()
        if bars[1]:
            utils.enable_progress_bars()


def _readable(error: Exception, address: Address) -> PolyticketError:
    from datasets.exceptions import DatasetNotFoundError

    message = (str(error).strip() or type(error).__name__).splitlines()[0]
    where = f"hf://{address.name}" + (f"@{address.revision}" if address.revision else "")
    if isinstance(error, DatasetNotFoundError):
        return PolyticketError(
            message, where=where, expected="the name of a public data set, or one that you have access to"
        )
    if isinstance(error, ConnectionError) or type(error).__module__.split(".")[0] in ("httpx", "requests", "aiohttp"):
        expected = "a network, or a copy: HF_HOME with a filled cache, or hf:///folder/of/the/data/set[/config]"
        return PolyticketError(f"the hub can't be reached: {message}", where=where, expected=expected)
    if isinstance(error, ValueError):
        configs = _configs(address)
        if address.config not in configs and len(configs) > (address.config is None):
            shown = ", ".join(configs[:SHOWN]) + (f" and {len(configs) - SHOWN} more" if len(configs) > SHOWN else "")
            problem = "no configuration is named" if address.config is None else f"no configuration {address.config!r}"
            return PolyticketError(problem, where=where, expected=f"one of {shown}")
    if "script" in message:
        expected = "parquet files, such as those of the revision @refs/convert/parquet"
        return PolyticketError(message, where=where, expected=expected)
    cause = error.__cause__ or error
    return PolyticketError(
        f"can't be read: {type(cause).__name__}: {cause}", where=where, expected="a data set in files"
    )


def _configs(address: Address) -> list[str]:
    import datasets

    try:
        return sorted(datasets.get_dataset_config_names(address.name, revision=address.revision))
    except Exception:  # the first error says more
        return []
