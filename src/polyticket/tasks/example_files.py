"""Files of examples: Arrow, a column for each field."""

from collections.abc import Sequence
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import ipc

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, written_beside
from polyticket.tasks.examples import Example, Pair, Sentence, Text

One = TypeVar("One", Sentence, Pair, Text)
TYPES: dict[str, pa.DataType] = {"words": pa.list_(pa.string()), "tags": pa.list_(pa.string())}


def write_examples(path: Pathlike, examples: Sequence[Any], kind: type[Example]) -> None:
    """Write examples as an Arrow file, a column for each field; complete or absent."""
    fields = [pa.field(name, TYPES.get(name, pa.string())) for name in kind._fields]
    columns = list(zip(*examples, strict=True)) or [()] * len(fields)
    table = pa.table([pa.array(column, f.type) for column, f in zip(columns, fields, strict=True)], pa.schema(fields))
    with written_beside(path) as place, ipc.new_file(str(place), table.schema) as writer:
        writer.write_table(table)


def read_examples(path: Pathlike, kind: type[One]) -> list[One]:
    """Read what `write_examples` wrote.

    Raises:
        PolyticketError: The file is missing, or is no Arrow file of such examples.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            table = ipc.open_file(stream).read_all()
            columns = [table[name].to_pylist() for name in kind._fields]
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise PolyticketError(f"no file of {kind.__name__.lower()}s: {error}", where=path) from None
    frozen = [
        [tuple(x) for x in column] if n in TYPES else column for n, column in zip(kind._fields, columns, strict=True)
    ]
    return [kind(*values) for values in zip(*frozen, strict=True)]


def read_mixed(paths: Sequence[Pathlike], kind: type[One]) -> list[One]:
    """Read several files one after the other, such as those of languages that are mixed."""
    return [example for path in paths for example in read_examples(path, kind)]
