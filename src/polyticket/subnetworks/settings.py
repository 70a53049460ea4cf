"""What the configuration says of sub-networks, checked before anything runs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from polyticket.errors import PolyticketError
from polyticket.subnetworks.levels import schedule
from polyticket.subnetworks.origins import CONTROLS, RENAMED, known_origin
from polyticket.tasks.registry import TASKS

KEY = "config subnetworks"


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
    wanted = settings["transfer_sparsity"]
    if wanted is not None and f"{wanted:.10g}" not in known:
        expected = f"transfer_sparsity one of {', '.join(known)}, or null"
        raise PolyticketError(f"{wanted} is no level", where=f"{KEY}.{schedule_key}", expected=expected)
    for name, parts in settings["mixes"].items():
        if name in languages:
            raise PolyticketError(f"{name!r} is a language", where=f"{KEY}.mixes", expected="another name")
        _check_among(parts, languages, f"{KEY}.mixes.{name}")
    for name in settings["controls"]:
        if name not in CONTROLS:
            expected = f"{RENAMED[name]}, its new name" if name in RENAMED else f"some of {', '.join(CONTROLS)}"
            raise PolyticketError(f"unknown {name!r}", where=f"{KEY}.controls", expected=expected)
    there = {"tasks": list(TASKS), "sources": [*languages, *settings["mixes"]], "levels": known}
    for name in settings["transfer_also"]:
        known_origin(name, **there, where=f"{KEY}.transfer_also")
    _check_retrieval(settings["retrieval"], languages, there, masked=masked)
    for task, sources in settings["find"].items():
        _check_among(sources, [*languages, *settings["mixes"]], f"{KEY}.find.{task}")
        if masked and (mixes := [source for source in sources if source in settings["mixes"]]):
            expected = "a language, or a model without masks (`finetune_from`, `mask_method: constant`)"
            raise PolyticketError(f"mix {mixes[0]!r} has no mask", where=f"{KEY}.find.{task}", expected=expected)
        if sources and task not in with_data:
            raise PolyticketError("not set", where=f"config data.{task}", expected=f"the place of {task} data")


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
                known_origin(
                    name.replace("{lang}", lang).replace("{other}", other), **known, where=f"{KEY}.retrieval.masks"
                )


def check_kind(find: Mapping[str, Sequence[str]], kind: str | None) -> None:
    """Check that a kind of model does all tasks for which sub-networks are looked for.

    Args:
        find: Task to languages.
        kind: As `model_type` says; None where it is not known.

    Raises:
        PolyticketError: It does not; names the key.
    """
    for task, sources in find.items():
        forms = TASKS[task].forms
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


def _check_among(names: Sequence[str], known: Sequence[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise PolyticketError(f"unknown {name!r}", where=where, expected=f"some of {', '.join(known)}")
