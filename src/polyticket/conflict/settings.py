"""Settings of the measurement of conflict between languages, checked before any job runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isqrt
from typing import Any

from polyticket.core.errors import PolyticketError

KEY = "config pretraining.conflict"
KINDS = ("updates", "recent_updates", "own", "recent_own", "gradients")
SUMMED = ("updates", "own")
"""Kinds that are summed over steps."""
SUPPORTED = ("own", "recent_own", "gradients")
"""Kinds whose vectors are zero where a language's ticket prunes."""
SHARED = tuple(f"{kind}_shared" for kind in SUPPORTED)
"""These again, over the weights alone that both languages of a pair keep."""
MATRICES = ("query", "key", "value", "attention_output", "intermediate", "output")


@dataclass(frozen=True)
class Settings:
    """The section `pretraining.conflict` of the configuration.

    Attributes:
        mode: `none`, `sketch` (a fixed number of values per language) or `exact` (a copy of the matrices per language).
        layers: Whose matrices are compared; None for all.
        matrices: Patterns of the matrices' names (`layer_0/query`), with the wildcards of a shell; None for all.
        width: Values per language of a sketch; a prime.
    """

    mode: str = "none"
    layers: tuple[int, ...] | None = None
    width: int = 16381
    matrices: tuple[str, ...] | None = None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> "Settings":
        """The settings of a configuration's section, complete or not."""
        given: dict[str, Any] = {key: section[key] for key in ("mode", "width", "layers", "matrices") if key in section}
        for key in ("layers", "matrices"):
            if given.get(key) is not None:
                given[key] = tuple(given[key])
        return cls(**given)


def check_settings(settings: Settings, layers: int) -> None:
    """Refuse what cannot be measured of a model with so many layers.

    Raises:
        PolyticketError: A layer or a matrix that the model does not have, or a width that is no prime.
    """
    chosen_names(layers, settings)
    require_prime(settings.width)


def chosen_layers(layers: int, chosen: Sequence[int] | None) -> list[int]:
    """The chosen layers in ascending order, once each; all of them for None.

    Raises:
        PolyticketError: None is chosen, or one that the model does not have.
    """
    if chosen is None:
        return list(range(layers))
    for layer in chosen:
        if not 0 <= layer < layers:
            raise PolyticketError(
                f"no layer {layer}", where=f"{KEY}.layers", expected=f"layers from 0 to {layers - 1}, or null for all"
            )
    if not chosen:
        raise PolyticketError("no layer is chosen", where=f"{KEY}.layers", expected="some layers, or null for all")
    return sorted(set(chosen))


def chosen_names(layers: int, settings: Settings) -> list[str]:
    """The names of the chosen matrices of a model with N layers, in the order of the forward pass: `layer_0/query`.

    Raises:
        PolyticketError: No such layer, or a pattern that no matrix of the chosen layers matches.
    """
    numbers = chosen_layers(layers, settings.layers)
    names = [f"layer_{number}/{matrix}" for number in numbers for matrix in MATRICES]
    if settings.matrices is None:
        return names
    for pattern in settings.matrices or ("",):
        if not any(fnmatchcase(name, pattern) for name in names):
            raise PolyticketError(
                f"{pattern!r} matches no matrix of the chosen layers",
                where=f"{KEY}.matrices",
                expected=f"patterns like layer_{numbers[0]}/query or */value, of {', '.join(MATRICES)}; null for all",
            )
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in settings.matrices)]


def values_per_language(settings: Settings, layers: int, hidden: int, intermediate: int) -> int:
    """How many values are summed for a language at most, for a model of these sizes."""
    if settings.mode == "none":
        return 0
    matrices = [name.split("/")[1] for name in chosen_names(layers, settings)]
    units = sum(intermediate if name in ("intermediate", "output") else hidden for name in matrices)
    return settings.width + units if settings.mode == "sketch" else units * hidden


def require_prime(width: int) -> None:
    """Refuse a width that strides over rows and columns of matrices could share a factor with.

    Raises:
        PolyticketError: It is no prime; names the nearest ones.
    """
    if _is_prime(width):
        return
    below = next((n for n in range(width - 1, 1, -1) if _is_prime(n)), None)
    above = next(n for n in range(max(width, 1) + 1, 2 * max(width, 1) + 2) if _is_prime(n))  # Bertrand
    nearest = " or ".join(str(n) for n in (below, above) if n is not None)
    raise PolyticketError(f"{width} is no prime", where=f"{KEY}.width", expected=f"a prime, for example {nearest}")


def measured_phase(pretraining: Mapping[str, Any], step: int) -> int:
    """The phase, from 1, whose trace says what was measured at a step.

    Args:
        pretraining: The section of the configuration, complete.
        step: From 1.

    Raises:
        PolyticketError: Nothing is measured, or not at this step; names the steps nearest to it.
    """
    if pretraining["conflict"]["mode"] == "none":
        raise PolyticketError("nothing is measured", where=f"{KEY}.mode", expected="sketch or exact")
    ends, every = [phase["until_step"] for phase in pretraining["phases"]], pretraining["save_steps"]
    if step in ends or (0 < step < ends[-1] and step % every == 0):
        return next(number for number, end in enumerate(ends, 1) if end >= step)
    around = sorted({*ends, *((step // every + more) * every for more in (0, 1))})
    below, above = ([n for n in around if 0 < n <= ends[-1] and n < step][-1:], [n for n in around if step < n][:1])
    nearest = " or ".join(str(n) for n in (*below, *(n for n in above if n <= ends[-1])))
    raise PolyticketError(
        f"conflict was not measured at step {step}",
        where="config pretraining.save_steps",
        expected=f"a multiple of {every} up to {ends[-1]}, or the end of a phase: {nearest}",
    )


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, isqrt(number) + 1))
