"""The saliency files of all languages, read one after the other and checked to belong together."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, sha256
from polyticket.tickets.headed import map_headed
from polyticket.tickets.scores import Scores


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
        self._first: dict[str, Any] = {}
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
            PolyticketError: A file is not saliency, is of another language, or of other weights or another method than
                the first; names it.
        """
        for row, (path, language) in enumerate(zip(self.paths, self.languages, strict=True)):
            scores, made = _read(path)
            if made.get("language", language) != language:
                raise PolyticketError(f"scores of {made['language']}", where=path, expected=f"scores of {language}")
            self._first = self._first if row else made
            for key in ("initial", "method"):
                if made.get(key) != self._first.get(key):
                    expected = f"{self._first.get(key)!r}, as in {self.paths[0]}"
                    raise PolyticketError(f"{key} {made.get(key)!r}", where=path, expected=expected)
            yield scores

    def digests(self) -> dict[str, str]:
        """Language to the SHA-256 digest of its file."""
        return {language: found.result() for language, found in zip(self.languages, self._digests, strict=True)}

    def check_initial(self, digest: str) -> None:
        """Check that the files, once they were read, are of these initial weights; a file that is silent passes.

        Raises:
            PolyticketError: They are of others.
        """
        found = self._first.get("initial", digest)
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
