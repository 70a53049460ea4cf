"""Saliency files: one score per neuron and site of one language, with how it was made."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import map_headed, read_headed, write_headed
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256
from polyticket.model.sites import Site

Scores = dict[str, NDArray[np.float64]]
# of `saliency_options`, what decides scores that are read from records: they are compared between files
SETTINGS = ("token_budget", "batch_size", "dropout", "precision", "stop_when_stable", "agreement_ratio")


@dataclass(frozen=True)
class Saliency:
    """Scores of one language.

    Attributes:
        scores: Site to float64 [size], higher is more important. Those of GraSP have signs, which dividing by
            the L2 norm keeps; all others are not negative.
        provenance: The method, the language and what it was computed from.
    """

    scores: Scores
    provenance: dict[str, Any] = field(default_factory=dict)


def write_saliency(saliency: Saliency, path: Pathlike) -> None:
    """Write scores as safetensors, complete or absent."""
    write_headed(saliency.scores, saliency.provenance, path)


def read_saliency(path: Pathlike) -> Saliency:
    """Read a saliency file.

    Raises:
        PolyticketError: Not a safetensors file, NaN or infinite scores (names the site), or zeros alone.
    """
    arrays, provenance = read_headed(path, "saliency")
    scores = {name: array.astype(np.float64) for name, array in arrays.items()}
    for site, values in scores.items():
        if not np.isfinite(values).all():
            raise PolyticketError(f"{site} holds NaN or infinite scores", where=path, expected="finite scores")
    if not any(values.any() for values in scores.values()):
        raise PolyticketError("all scores are zero", where=path, expected="scores of a model that the loss depends on")
    return Saliency(scores, provenance)


def normalised(scores: Scores) -> Scores:
    """Each site's vector divided by its L2 norm (+ 1e-20), so that sites of different scale can be compared."""
    with np.errstate(over="ignore"):  # told by the divisor, and mended there
        return {site: values / divisor(values) for site, values in scores.items()}


def divisor(values: NDArray[np.float64]) -> float:
    """What a vector is divided by: its L2 norm + 1e-20; infinite or NaN only if one of its entries is."""
    found = norm(values) + 1e-20
    if math.isinf(found) and np.isfinite(values).all():  # the squares were too large
        largest = float(np.abs(values).max())
        found = norm(values / largest) * largest
    return found


def norm(values: NDArray[np.float64]) -> float:
    """The L2 norm of a vector."""
    return math.sqrt(values.dot(values))


def random_scores(sites: Iterable[Site], seed: int, language_index: int) -> Scores:
    """Uniform noise in [0, 1) in place of scores: the control. Keyed by seed and the language's index."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, language_index])))
    return {site.name: random.random(site.size) for site in sites}


class ScoreFiles(Collection[Scores]):
    """The scores of each language, site to float64 [size], read while they are gone through.

    Values are checked where they are used. Digests are taken meanwhile, by a thread of their own.

    Args:
        paths: The L files.
        languages: Whose they are.
    """

    def __init__(self, paths: Sequence[Pathlike], languages: Sequence[str]) -> None:
        if len(paths) != len(languages):
            raise ValueError(f"{len(paths)} files of {len(languages)} languages")
        self.paths, self.languages = list(paths), list(languages)
        self._heads: list[dict[str, Any]] = []
        with_digests = ThreadPoolExecutor(1)
        self._digests = [with_digests.submit(sha256, path) for path in self.paths]
        with_digests.shutdown(wait=False)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, scores: object) -> bool:
        return any(scores is one for one in self)

    def __iter__(self) -> Iterator[Scores]:
        """Read and check file after file.

        Raises:
            PolyticketError: A file is not saliency, is of another language, of other weights or another method than
                the first, or scored with other `SETTINGS` than one before; names it.
        """
        self._heads = []
        for row, (path, language) in enumerate(zip(self.paths, self.languages, strict=True)):
            scores, made = _read(path)
            if made.get("language", language) != language:
                raise PolyticketError(f"scores of {made['language']}", where=path, expected=f"scores of {language}")
            for key in ("initial", "method") if row else ():
                self._compare(key, made, 0)
            for key in SETTINGS:  # a file that is silent passes
                said = [at for at, head in enumerate(self._heads) if key in head]
                if said and key in made:
                    self._compare(key, made, said[0])
            self._heads.append(made)
            yield scores

    def _compare(self, key: str, made: Mapping[str, Any], row: int) -> None:
        wanted, found = self._heads[row].get(key), made.get(key)
        if found != wanted:
            expected = f"{wanted!r}, as in {self.paths[row]}"
            raise PolyticketError(f"{key} {found!r}", where=self.paths[len(self._heads)], expected=expected)

    def settings(self) -> dict[str, Any]:
        """Those of `SETTINGS` that every file states, once they were read."""
        first = self._heads[0] if self._heads else {}
        return {key: first[key] for key in SETTINGS if all(key in head for head in self._heads) and key in first}

    def digests(self) -> dict[str, str]:
        """Language to the SHA-256 digest of its file."""
        return {language: found.result() for language, found in zip(self.languages, self._digests, strict=True)}

    def check_initial(self, digest: str) -> None:
        """Check that the files, once they were read, are of these initial weights; a file that is silent passes.

        Raises:
            PolyticketError: They are of others.
        """
        found = self._heads[0].get("initial", digest)
        if found != digest:
            raise PolyticketError(f"scores of initial weights {found}", where=self.paths[0], expected=digest)


def _read(path: Pathlike) -> tuple[Scores, dict[str, Any]]:
    arrays, made = map_headed(path, "saliency")
    for site, values in arrays.items():
        if values.ndim != 1 or values.dtype.kind != "f":
            raise PolyticketError(
                f"{site} holds {values.dtype} {list(values.shape)}", where=path, expected="a vector of scores"
            )
    return {site: values.astype(np.float64, copy=False) for site, values in arrays.items()}, made
