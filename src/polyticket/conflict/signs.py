"""The random signs and places of a sketch: a hash of seed, matrix and position, the same in NumPy and TensorFlow."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGN = 0x80000000
# shifts and factors of MurmurHash3's 32-bit finaliser (Appleby, public domain)
ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
LAST_SHIFT = 16


class Key(NamedTuple):
    """What is random about one matrix: entry i has the top bit of mix(i · factor ⊕ mask) and bucket start + i mod S."""

    factor: int
    mask: int
    start: int


def key_of(matrix: str, width: int, seed: int) -> Key:
    """The key of a matrix by its name, for a sketch of `width` buckets."""
    found = hashlib.sha256(f"{seed}\t{width}\t{matrix}".encode()).digest()
    factor, mask, start = (int.from_bytes(found[at : at + size], "little") for at, size in ((0, 4), (4, 4), (8, 8)))
    return Key(factor | 1, mask, start % width)


def signs(key: Key, size: int) -> NDArray[np.float32]:
    """The signs of a matrix's entries in row-major order: float32 [size] of 1 and -1."""
    mixed = np.arange(size, dtype=np.uint32) * np.uint32(key.factor) ^ np.uint32(key.mask)
    for shift, factor in ROUNDS:
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    mixed ^= mixed >> np.uint32(LAST_SHIFT)
    return np.where(mixed & np.uint32(SIGN), np.float32(-1), np.float32(1))


def sketched(matrices: Mapping[str, NDArray[np.floating]], width: int, seed: int) -> NDArray[np.float64]:
    """What `polyticket.conflict.sketch.Sketch` computes, in NumPy and double precision: float64 [width]."""
    found = np.zeros(width)
    for name, array in matrices.items():
        key = key_of(name, width, seed)
        padded = np.zeros(-(-(key.start + array.size) // width) * width)
        padded[key.start : key.start + array.size] = array.ravel() * signs(key, array.size)
        found += padded.reshape(-1, width).sum(0)
    return found
