"""Random streams that depend only on their purpose, not on the order in which they are drawn."""

import hashlib

import numpy as np


def stream(seed: int, language: str, purpose: str, *numbers: int) -> np.random.Generator:
    """The random stream of one purpose: a Philox generator keyed by everything given.

    Streams of different keys are independent, so the work may be cut into shards or workers in any way.

    Args:
        seed: The run's seed, not negative.
        language: The language's code.
        purpose: What is drawn, for example ``"mask"``.
        numbers: Further parts of the key, for example the number of the dupe or of the block of instances.
    """
    key = "\0".join([language, purpose, *map(str, numbers)])
    entropy = [seed, int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
