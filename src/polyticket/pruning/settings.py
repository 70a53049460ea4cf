"""What the configuration says of sub-networks, checked before anything runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
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
        languages: Those of the run.
        with_data: The tasks whose data have a place.
        masked: Whether the model has masks of its own, a row per language.
        schedule_key: What is named where the sparsity of transfer is no level.

    Raises:
        PolyticketError: A schedule that cannot be, a sparsity that is none of its levels, a language, mix or task that
            there is not; names the key.
    """
    levels = schedule(settings["levels"], step=settings["step"], of=settings["of"])
    known = [level.sparsity for level in levels[1:]]
    for wanted in transferred(settings):
        if f"{wanted:.10g}" not in known:
            expected = f"transfer_sparsity one of {', '.join(known)}, or null"
            raise PolyticketError(f"{wanted} is no level", where=f"{KEY}.{schedule_key}", expected=expected)
    for name, parts in settings["mixes"].items():
        if name in languages:
            raise PolyticketError(f"{name!r} is a language", where=f"{KEY}.mixes", expected="another name")
        _check_among(parts, languages, f"{KEY}.mixes.{name}")
    for name in settings["controls"]:
        if name not in (MAGNITUDE, *CONTROLS):
            some = ", ".join((MAGNITUDE, *CONTROLS))
            expected = f"{RENAMED[name]}, its new name" if name in RENAMED else f"some of {some}"
            raise PolyticketError(f"unknown {name!r}", where=f"{KEY}.controls", expected=expected)
    named = settings["mask_sources"]
    there = {"tasks": list(TASKS), "sources": [*languages, *settings["mixes"]], "levels": known, "named": list(named)}
    check_sources(named, [FULL, RANDOM, MAGNITUDE, *TASKS, *CONTROLS], f"{KEY}.mask_sources")
    for name, source in named.items():
        for member in members_of(source):
            mask_source = known_mask_source(member, **there, where=f"{KEY}.mask_sources.{name}")
            if mask_source.kind not in (FOUND, NAMED) or mask_source.reinitialized:
                expected = "sub-networks that are found, such as panx-fr-50, or other mask sources"
                raise PolyticketError(f"{member!r}", where=f"{KEY}.mask_sources.{name}", expected=expected)
    for name in settings["transfer_also"]:
        known_mask_source(name, **there, where=f"{KEY}.transfer_also")
    _check_retrieval(settings["retrieval"], languages, there, masked=masked)
    for task, sources in settings["find"].items():
        _check_among(sources, [*languages, *settings["mixes"]], f"{KEY}.find.{task}")
        if masked and (mixes := [source for source in sources if source in settings["mixes"]]):
            expected = "a language, or a model without masks (`finetune_from`, `mask_method: constant`)"
            raise PolyticketError(f"mix {mixes[0]!r} has no mask", where=f"{KEY}.find.{task}", expected=expected)
        if sources and task not in with_data:
            raise PolyticketError("not set", where=f"config data.{task}", expected=f"the place of {task} data")


def transferred(settings: Mapping[str, Any]) -> list[float]:
    """The sparsities, in percent, at which sub-networks are transferred and compared."""
    found = settings["transfer_sparsity"]
    return [] if found is None else found if isinstance(found, list) else [found]


def _check_retrieval(
    settings: Mapping[str, Any], languages: Sequence[str], there: Mapping[str, Any], *, masked: bool
) -> None:
    pairs = [("en",)] if settings["pairs"] is None else settings["pairs"]
    for lang in [lang for pair in pairs for lang in pair if masked and settings["parallel"]]:
        if lang not in languages:
            expected = "one of `languages`, or a model without masks (`finetune_from`, `mask_method: constant`)"
            raise PolyticketError(f"{lang!r} has no mask", where=f"{KEY}.retrieval.pairs", expected=expected)
    for mask in settings["masks"] or ():
        for name in [mask] if isinstance(mask, str) else mask:
            for lang, other in settings["pairs"] or [(languages[0], "en")]:
                known = {**there, "sources": [*there["sources"], lang, other]}
                known_mask_source(
                    name.replace("{lang}", lang).replace("{other}", other), **known, where=f"{KEY}.retrieval.masks"
                )


def members_of(source: Mapping[str, Any]) -> list[str]:
    """The mask sources that a source of the configuration combines; none where it is a file."""
    return next((list(source[operation]) for operation in COMBINED if operation in source), [])


def check_sources(sources: Mapping[str, Mapping[str, Any]], taken: Sequence[str], where: str) -> None:
    """Check the table of mask sources.

    Args:
        sources: Name to a source: `file` (and `row`), `intersection` or `union`.
        taken: Names that mean something else.
        where: The configuration's key.

    Raises:
        PolyticketError: A name that is taken, a source that is none or several of these, or one that needs itself.
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
    """Check that a kind of model does all tasks for which sub-networks are looked for.

    Args:
        find: Task to languages.
        kind: As `model_type` says; None where it is not known.

    Raises:
        PolyticketError: It does not; names the key.
    """
    for task, sources in find.items():
        forms = TASKS[task].heads
        if sources and kind is not None and kind not in forms:
            said = f"{task} is not done with {kind} models"
            raise PolyticketError(said, where=f"{KEY}.find.{task}", expected=f"a {' or '.join(forms)}")


def check_pooling(pooling: str, kind: str | None) -> None:
    """Check that a kind of model has what stands for a sentence.

    Args:
        pooling: `mean` or `cls`.
        kind: As `model_type` says; None where it is not known.

    Raises:
        PolyticketError: The state of `[CLS]` is wanted of an mT5.
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
