"""Masks of several rows and sites as packed bits, in memory as in the file."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
Words = NDArray[np.uint64]
Shapes = Mapping[str, tuple[int, ...]]


class Masks(Mapping[str, Bits]):
    """Site to bool [L, *shape], True where kept. A site is unpacked when it is accessed.

    Sites are sorted by name. Each begins at a whole word, and the bits between its end and the next word are zero, so
    that counts of whole words are exact.

    Attributes:
        shapes: Site to the shape of one row's mask: (size,) or (out, in).
        words: uint64 [L, W], read only: all sites side by side, 64 bits a word.
        starts: int64 [S], the word where each site begins.
    """

    def __init__(self, words: Words, shapes: Shapes) -> None:
        self.shapes = {site: tuple(shapes[site]) for site in sorted(shapes)}
        ends = np.cumsum([0, *(-(-size // 64) for size in self.sizes.values())])
        if words.dtype != np.uint64 or words.ndim != 2 or words.shape[1] != ends[-1]:
            raise ValueError(f"needs uint64 [L, {ends[-1]}], has {words.dtype} {words.shape}")
        self.words = words.view()
        self.words.flags.writeable = False
        self.starts = ends[:-1].astype(np.int64)
        self._columns = {site: slice(*ends[index : index + 2].tolist()) for index, site in enumerate(self.shapes)}

    @classmethod
    def packed(cls, masks: Mapping[str, Bits], rows: int) -> "Masks":
        """Pack bool [L, *shape] arrays, the highest bit of a byte first.

        Raises:
            ValueError: An array is not bool, is not of L = `rows` rows, or has no bit.
        """
        for site, bits in masks.items():
            if bits.dtype != np.bool_ or bits.ndim < 2 or bits.shape[0] != rows or not prod(bits.shape[1:]):
                raise ValueError(f"{site}: needs bool [{rows}, size], has {bits.dtype} {bits.shape}")
        shapes = {site: bits.shape[1:] for site, bits in masks.items()}
        return cls.of_bytes(
            {site: np.packbits(bits.reshape(rows, -1), axis=1) for site, bits in masks.items()}, shapes, rows
        )

    @classmethod
    def of_bytes(cls, packed: Mapping[str, NDArray[np.uint8]], shapes: Shapes, rows: int) -> "Masks":
        """Lay uint8 [L, ceil(bits/8)] arrays side by side; bits beyond a site's size must be zero."""
        widths = {site: -(-prod(shapes[site]) // 64) for site in sorted(shapes)}
        words = np.zeros((rows, sum(widths.values())), np.uint64)
        begin = 0
        for site, width in widths.items():
            words.view(np.uint8)[:, 8 * begin : 8 * begin + packed[site].shape[1]] = packed[site]
            begin += width
        return cls(words, shapes)

    @property
    def sizes(self) -> dict[str, int]:
        """Site to the number of its bits in one row."""
        return {site: prod(shape) for site, shape in self.shapes.items()}

    def __getitem__(self, site: str) -> Bits:
        bits = np.unpackbits(self.bytes_of(site), axis=1, count=prod(self.shapes[site]))
        return bits.view(np.bool_).reshape(len(self.words), *self.shapes[site])

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def words_of(self, site: str) -> Words:
        """A site's words, uint64 [L, ceil(bits/64)], without a copy."""
        return self.words[:, self._columns[site]]

    def bytes_of(self, site: str) -> NDArray[np.uint8]:
        """A site's bytes as in a file, uint8 [L, ceil(bits/8)]."""
        size = -(-prod(self.shapes[site]) // 8)
        return np.ascontiguousarray(np.ascontiguousarray(self.words_of(site)).view(np.uint8)[:, :size])

    def rows(self, chosen: Sequence[int]) -> "Masks":
        """The masks of the chosen rows, in their order."""
        return Masks(self.words[list(chosen)], self.shapes)

    def only(self, sites: Sequence[str]) -> "Masks":
        """The masks of the given sites alone, such as those that two models share."""
        packed = {site: self.bytes_of(site) for site in sites}
        return Masks.of_bytes(packed, {site: self.shapes[site] for site in sites}, len(self.words))

    def counts(self) -> NDArray[np.int64]:
        """The number of bits that each site and row keep, int64 [S, L]."""
        counts = [np.bitwise_count(self.words_of(site)).sum(1, dtype=np.int64) for site in self.shapes]
        return np.array(counts, np.int64).reshape(len(self), len(self.words))
