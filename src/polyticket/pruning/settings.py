"""Checks of the configuration section `subnetworks`, before anything runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import is_code
from polyticket.pruning.levels import schedule
from polyticket.pruning.mask_sources import CONTROLS, FOUND, FULL, MAGNITUDE, NAMED, RANDOM, RENAMED, known_mask_source
from polyticket.tasks.table import TASKS

KEY = "config subnetworks"
COMBINED = ("intersection", "union")


def check_subnetworks(
    settings: Mapping[str, Any],
    languages: Sequence[str],
    with_data: Collection[str],
    *,
    masked: bool = False,
    schedule_key: str = "transfer_sparsity",
) -> None:
    """Check the section `subnetworks` of a configuration.

    Args:
        settings: The section.
        languages: The languages of the run.
        with_data: The tasks that have data.
        masked: Whether the model has a mask per language.
        schedule_key: The key to name if a sparsity of transfer is no level.

    Raises:
        PolyticketError: A schedule is impossible, a sparsity is none of its levels, or a language, mix or task is
            unknown; names the key.
    """
    levels = schedule(settings["levels"], step=settings["step"], step_of=settings["step_of"])
    known = [level.sparsity for level in levels[1:]]
    for sparsity in transferred(settings):
        if f"{sparsity:.10g}" not in known:
            expected = f"transfer_sparsity one of {', '.join(known)}, or null"
            raise PolyticketError(f"{sparsity} is no level", where=f"{KEY}.{schedule_key}", expected=expected)
    for name, parts in settings["mixes"].items():
        if name in languages:
            raise PolyticketError(f"{name!r} is a language", where=f"{KEY}.mixes", expected="another name")
        _check_among(parts, languages, f"{KEY}.mixes.{name}")
    for name in settings["controls"]:
        if name not in (MAGNITUDE, *CONTROLS):
            expected = f"some of {', '.join((MAGNITUDE, *CONTROLS))}"
            if name in RENAMED:
                expected = f"{RENAMED[name]}, its new name"
            raise PolyticketError(f"unknown {name!r}", where=f"{KEY}.controls", expected=expected)
    named = settings["mask_sources"]
    known_parts = {
        "tasks": list(TASKS),
        "sources": [*languages, *settings["mixes"]],
        "levels": known,
        "named": list(named),
    }
    _check_mask_sources(named, known_parts)
    family = settings["mantel"]["family"]
    if family is not None and family not in settings["distances"]:
        expected = f"a kind of `distances`: {', '.join(settings['distances']) or 'none'}"
        raise PolyticketError(f"unknown {family!r}", where=f"{KEY}.mantel.family", expected=expected)
    for name in settings["extra_mask_sources"]:
        known_mask_source(name, **known_parts, where=f"{KEY}.extra_mask_sources")
    _check_retrieval(settings["retrieval"], languages, known_parts, masked=masked)
    for task, sources in settings["find"].items():
        _check_among(sources, [*languages, *settings["mixes"]], f"{KEY}.find.{task}")
        if masked and (mixes := [source for source in sources if source in settings["mixes"]]):
            expected = "a language, or a model without masks (`finetune_from`, `mask_method: constant`)"
            raise PolyticketError(f"mix {mixes[0]!r} has no mask", where=f"{KEY}.find.{task}", expected=expected)
        if sources and task not in with_data:
            raise PolyticketError("not set", where=f"config data.{task}", expected=f"the place of {task} data")


def transferred(settings: Mapping[str, Any]) -> list[float]:
    """The sparsities, in percent, at which sub-networks are transferred and compared."""
    sparsities = settings["transfer_sparsity"]
    if sparsities is None:
        return []
    return sparsities if isinstance(sparsities, list) else [sparsities]


def _check_mask_sources(named: Mapping[str, Any], known_parts: Mapping[str, Any]) -> None:
    check_sources(named, [FULL, RANDOM, MAGNITUDE, *TASKS, *CONTROLS], f"{KEY}.mask_sources")
    for name, source in named.items():
        for member in members_of(source):
            mask_source = known_mask_source(member, **known_parts, where=f"{KEY}.mask_sources.{name}")
            if mask_source.kind not in (FOUND, NAMED) or mask_source.reinitialized:
                expected = "sub-networks that are found, such as panx-fr-50, or other mask sources"
                raise PolyticketError(f"{member!r}", where=f"{KEY}.mask_sources.{name}", expected=expected)


def _check_retrieval(
    settings: Mapping[str, Any], languages: Sequence[str], known_parts: Mapping[str, Any], *, masked: bool
) -> None:
    pairs = [(settings["pivot"],)] if settings["pairs"] is None else settings["pairs"]
    key = f"{KEY}.retrieval.{'pivot' if settings['pairs'] is None else 'pairs'}"
    for lang in [lang for pair in pairs for lang in pair if not is_code(lang)]:
        raise PolyticketError(f"bad code {lang!r}", where=key, expected="a language's code, such as fr")
    for lang in [lang for pair in pairs for lang in pair if masked and settings["parallel"]]:
        if lang not in languages:
            expected = "one of `languages`, or a model without masks (`finetune_from`, `mask_method: constant`)"
            raise PolyticketError(
                f"{lang!r} has no mask",
                where=key,
                expected=expected,
            )
    for mask in settings["masks"] or ():
        for name in [mask] if isinstance(mask, str) else mask:
            for lang, other in settings["pairs"] or [(languages[0], settings["pivot"])]:
                known = {**known_parts, "sources": [*known_parts["sources"], lang, other]}
                known_mask_source(
                    name.replace("{lang}", lang).replace("{other}", other), **known, where=f"{KEY}.retrieval.masks"
                )


def members_of(source: Mapping[str, Any]) -> list[str]:
    """The mask sources that an intersection or union combines; none for a file."""
    return next((list(source[operation]) for operation in COMBINED if operation in source), [])


def check_sources(sources: Mapping[str, Mapping[str, Any]], taken: Sequence[str], where: str) -> None:
    """Check the table of mask sources.

    Args:
        sources: Name to mask source: `file` (and `row`), `intersection` or `union`.
        taken: Names with another meaning.
        where: The configuration's key.

    Raises:
        PolyticketError: A name is taken, a mask source is none or several of these, or it contains itself.
    """
    for name, source in sources.items():
        if name in taken:
            raise PolyticketError(f"{name!r} has a meaning already", where=where, expected="another name")
        kinds = [kind for kind in ("file", *COMBINED) if kind in source]
        if len(kinds) != 1 or ("row" in source and kinds != ["file"]):
            expected = "one of file (with row), intersection, union"
            raise PolyticketError(f"{', '.join(source) or 'nothing'}", where=f"{where}.{name}", expected=expected)
        if name in set(_needed(name, sources, ())):
            raise PolyticketError("needs itself", where=f"{where}.{name}", expected="other mask sources")


def check_kind(find: Mapping[str, Sequence[str]], kind: str | None) -> None:
    """Check that a kind of model supports all tasks in `find`.

    Args:
        find: Task to languages.
        kind: As `model_type` gives it; None if it is not known.

    Raises:
        PolyticketError: It does not support one; names the key.
    """
    for task, sources in find.items():
        heads = TASKS[task].heads
        if sources and kind is not None and kind not in heads:
            problem = f"{task} is not done with {kind} models"
            raise PolyticketError(problem, where=f"{KEY}.find.{task}", expected=f"a {' or '.join(heads)}")


def check_pooling(pooling: str, kind: str | None) -> None:
    """Check that a kind of model supports the pooling of retrieval.

    Args:
        pooling: `mean` or `cls`.
        kind: As `model_type` gives it; None if it is not known.

    Raises:
        PolyticketError: The pooling is `cls` and the model an mT5, which has no `[CLS]`.
    """
    if pooling == "cls" and kind == "mt5":
        where = f"{KEY}.retrieval.pooling"
        raise PolyticketError("'cls' of an mt5", where=where, expected="mean: it has no [CLS]")


def _needed(name: str, sources: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]) -> Iterator[str]:
    for member in members_of(sources.get(name, {})):
        yield member
        if member not in seen:
            yield from _needed(member, sources, (*seen, member))


def _check_among(names: Sequence[str], known: Sequence[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise PolyticketError(f"unknown {name!r}", where=where, expected=f"some of {', '.join(known)}")
