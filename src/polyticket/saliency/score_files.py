"""Saliency files: the scores of one language by site and neuron, with their provenance."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import map_arrays, read_arrays, write_arrays
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256, sha256
from polyticket.model.settings import CONFIG, read_settings
from polyticket.model.shape import BertShape, Site, prunable_sites

Scores = dict[str, NDArray[np.float64]]
SETTINGS = ("token_budget", "batch_size", "dropout", "precision", "stop_when_stable", "agreement_ratio")
"""The keys of `saliency_options` that decide scores of records. They are compared between files."""


@dataclass(frozen=True)
class Saliency:
    """Scores of one language.

    Attributes:
        scores: Site to float64 [size]; higher is more important. GraSP scores may be negative, and division by the L2
            norm keeps their sign; all others are not negative.
        provenance: The method, the language, and digests of the inputs.
    """

    scores: Scores
    provenance: dict[str, Any] = field(default_factory=dict)


def write_saliency(saliency: Saliency, path: Pathlike) -> None:
    """Write scores as safetensors, the whole file or none."""
    write_arrays(saliency.scores, saliency.provenance, path)


def read_saliency(path: Pathlike) -> Saliency:
    """Read a saliency file.

    Raises:
        PolyticketError: The file is no safetensors file, or its scores are NaN, infinite (names the site) or all zero.
    """
    arrays, provenance = read_arrays(path, "saliency")
    scores = {name: array.astype(np.float64) for name, array in arrays.items()}
    for site, values in scores.items():
        if not np.isfinite(values).all():
            raise PolyticketError(f"{site} holds NaN or infinite scores", where=path, expected="finite scores")
    if not any(values.any() for values in scores.values()):
        raise PolyticketError("all scores are zero", where=path, expected="scores of a model that the loss depends on")
    return Saliency(scores, provenance)


def normalised(scores: Scores) -> Scores:
    """Each site's vector divided by its L2 norm (+ 1e-20), so that sites of different scale can be compared."""
    with np.errstate(over="ignore"):  # `divisor` handles the overflow
        return {site: values / divisor(values) for site, values in scores.items()}


def divisor(values: NDArray[np.float64]) -> float:
    """The divisor of a vector: its L2 norm + 1e-20; infinite or NaN only if one of its entries is."""
    length = norm(values) + 1e-20
    if math.isinf(length) and np.isfinite(values).all():  # the squares overflowed
        largest = float(np.abs(values).max())
        length = norm(values / largest) * largest
    return length


def norm(values: NDArray[np.float64]) -> float:
    """The L2 norm of a vector."""
    return math.sqrt(values.dot(values))


def random_scores(sites: Iterable[Site], seed: int, language_index: int) -> Scores:
    """Uniform noise in [0, 1) in place of scores, the control. The seed and the language's row decide it."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, language_index])))
    return {site.name: random.random(site.size) for site in sites}


def write_random_scores(
    model: Pathlike, path: Pathlike, *, method: str, language: str, language_index: int, seed: int
) -> None:
    """Write a saliency file of `random_scores`, from the shape of a model alone.

    Args:
        model: The initial model's folder; only its config.json is read.
        path: The saliency file to write.
        method: `random` or `random_uniform`.
        language: The language's code.
        language_index: The language's row.
        seed: The run's seed.
    """
    shape = BertShape.from_config(read_settings(model), Path(model) / CONFIG)
    noise = random_scores(prunable_sites(shape), seed, language_index)
    provenance = {"method": method, "language": language, "language_index": language_index, "seed": seed}
    write_saliency(Saliency(noise, provenance | {"initial": folder_sha256(model)}), path)


class ScoreFiles(Collection[Scores]):
    """The saliency files of L languages, checked to belong together.

    Iteration reads one file after the other and gives its scores, site to float64 [size]. Values are checked where they
    are used. A thread of its own computes the digests meanwhile.

    Args:
        paths: The L files.
        languages: The language of each file.
    """

    def __init__(self, paths: Sequence[Pathlike], languages: Sequence[str]) -> None:
        if len(paths) != len(languages):
            raise ValueError(f"{len(paths)} files of {len(languages)} languages")
        self.paths, self.languages = list(paths), list(languages)
        self._headers: list[dict[str, Any]] = []
        executor = ThreadPoolExecutor(1)
        self._digests = [executor.submit(sha256, path) for path in self.paths]
        executor.shutdown(wait=False)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, scores: object) -> bool:
        return any(scores is one for one in self)

    def __iter__(self) -> Iterator[Scores]:
        """Read and check each file in turn.

        Raises:
            PolyticketError: A file is no saliency file, is of another language, of other weights or another method than
                the first, or was scored with other `SETTINGS` than a file before it; names the file.
        """
        self._headers = []
        for row, (path, language) in enumerate(zip(self.paths, self.languages, strict=True)):
            scores, header = _read(path)
            if header.get("language", language) != language:
                raise PolyticketError(f"scores of {header['language']}", where=path, expected=f"scores of {language}")
            for key in ("initial", "method") if row else ():
                self._compare(key, header, 0)
            for key in SETTINGS:  # a file without the key passes
                rows = [before for before, other in enumerate(self._headers) if key in other]
                if rows and key in header:
                    self._compare(key, header, rows[0])
            self._headers.append(header)
            yield scores

    def _compare(self, key: str, header: Mapping[str, Any], row: int) -> None:
        expected, value = self._headers[row].get(key), header.get(key)
        if value != expected:
            path, like = self.paths[len(self._headers)], f"{expected!r}, as in {self.paths[row]}"
            raise PolyticketError(f"{key} {value!r}", where=path, expected=like)

    def settings(self) -> dict[str, Any]:
        """The `SETTINGS` that every file states, after all were read."""
        first = self._headers[0] if self._headers else {}
        return {key: first[key] for key in SETTINGS if all(key in header for header in self._headers) and key in first}

    def digests(self) -> dict[str, str]:
        """Language to the SHA-256 digest of its file."""
        return {language: digest.result() for language, digest in zip(self.languages, self._digests, strict=True)}

    def check_initial(self, digest: str) -> None:
        """Check, after all files were read, that they are of these initial weights. A file without the key passes.

        Raises:
            PolyticketError: They are of other weights.
        """
        stated = self._headers[0].get("initial", digest)
        if stated != digest:
            raise PolyticketError(f"scores of initial weights {stated}", where=self.paths[0], expected=digest)


def _read(path: Pathlike) -> tuple[Scores, dict[str, Any]]:
    arrays, header = map_arrays(path, "saliency")
    for site, values in arrays.items():
        if values.ndim != 1 or values.dtype.kind != "f":
            raise PolyticketError(
                f"{site} holds {values.dtype} {list(values.shape)}", where=path, expected="a vector of scores"
            )
    return {site: values.astype(np.float64, copy=False) for site, values in arrays.items()}, header
