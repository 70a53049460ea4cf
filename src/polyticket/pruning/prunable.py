"""The prunable weights of a model: the matrices of all its layers, found by their names."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from polyticket.core.errors import PolyticketError

Shape = tuple[int, ...]
Pools = dict[str, list[str]]
JOINT_POOL = "all"
POOLER = "pooler.dense.weight"
_SIDES = ("encoder", "decoder")
_FEED_FORWARD = ("wi_0", "wi_1", "wo")
_BERT = (
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "intermediate.dense", "output.dense"),
)
_ATTENTION = ("q", "k", "v", "o")
_LAYER = re.compile(rf"(|.*\.)encoder\.layer\.(\d+)\.({'|'.join(map(re.escape, _BERT))})\.weight")
_BLOCK = re.compile(
    r"(|.*\.)(encoder|decoder)\.block\.(\d+)\.layer\.\d+\."
    rf"((?:SelfAttention|EncDecAttention)\.(?:{'|'.join(_ATTENTION)})|DenseReluDense\.(?:{'|'.join(_FEED_FORWARD)}))"
    r"\.weight"
)


def pools_of(shapes: Mapping[str, Iterable[int]], kind: str, *, joint_pool: bool = False, pooler: bool = True) -> Pools:
    """The prunable weights by pool. The weights of a pool compete for one budget.

    BERT has one pool, `all`: layer by layer query, key, value, attention output, intermediate and output; the pooler's
    matrix last. mT5 has the pools `encoder` and `decoder`: block by block q, k, v, o of self-attention, those of
    cross-attention, wi_0, wi_1, wo. The order within a pool decides between equal magnitudes. Embeddings, LayerNorm,
    relative position biases, biases and heads are in no pool.

    Args:
        shapes: PyTorch parameter name to shape.
        kind: `bert` (any model whose layers have BERT's names, such as XLM-R) or `mt5`.
        joint_pool: Whether encoder and decoder are one pool, `all`, the encoder's weights first.
        pooler: Whether the task reads the pooler; otherwise the pooler is in no pool.

    Raises:
        PolyticketError: The model has no such weight, a layer lacks one, or a weight is no matrix.
    """
    if kind not in KINDS:
        raise PolyticketError(f"unknown kind of model {kind!r}", where="subnetwork", expected=", ".join(KINDS))
    pools = KINDS[kind](name for name in shapes if pooler or not name.endswith(POOLER))
    for name in chain.from_iterable(pools.values()):
        if len(shape := tuple(shapes[name])) != 2 or not all(shape):
            raise PolyticketError(f"{name} has shape {list(shape)}", where="model", expected="[out, in]")
    return {JOINT_POOL: list(chain.from_iterable(pools.values()))} if joint_pool else pools


def pool_sizes(shapes: Mapping[str, Shape], pools: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Pool to its number of weights."""
    return {pool: sum(shapes[name][0] * shapes[name][1] for name in names) for pool, names in pools.items()}


def _bert(names: Iterable[str]) -> Pools:
    layers: dict[int, dict[str, str]] = {}
    prefixes, names = set(), set(names)
    for name in names:
        if match := _LAYER.fullmatch(name):
            prefixes.add(match[1])
            layers.setdefault(int(match[2]), {})[match[3]] = name
    if len(prefixes) != 1:
        problem = "no layer" if not prefixes else f"{len(prefixes)} encoders"
        raise PolyticketError(problem, where="model", expected="one encoder, with names such as …encoder.layer.0.…")
    (prefix,) = prefixes
    pooler = f"{prefix}{POOLER}"
    return {JOINT_POOL: _in_order(layers, _BERT, f"{prefix}encoder.layer") + [pooler] * (pooler in names)}


def _mt5(names: Iterable[str]) -> Pools:
    blocks: dict[str, dict[int, dict[str, str]]] = {}
    for name in names:
        if match := _BLOCK.fullmatch(name):
            if match[4] in (block := blocks.setdefault(match[2], {}).setdefault(int(match[3]), {})):
                raise PolyticketError(f"{name} and {block[match[4]]}", where="model", expected="one of each")
            block[match[4]] = name
    pools = {}
    for side in _SIDES:
        if side not in blocks:
            raise PolyticketError(f"no block of an mT5's {side}", where="model", expected=f"{side}.block.0.…")
        attentions = ("SelfAttention", "EncDecAttention") if side == "decoder" else ("SelfAttention",)
        required = [f"{module}.{matrix}" for module in attentions for matrix in _ATTENTION]
        required += [f"DenseReluDense.{matrix}" for matrix in _FEED_FORWARD]
        pools[side] = _in_order(blocks[side], required, f"{side}.block")
    return pools


def _in_order(layers: Mapping[int, Mapping[str, str]], required: Iterable[str], where: str) -> list[str]:
    """The names layer by layer, each layer in the order of `required`."""
    for layer in range(max(layers) + 1):
        if missing := [matrix for matrix in required if matrix not in layers.get(layer, {})]:
            raise PolyticketError(f"{where}.{layer} has no {missing[0]}.weight", where="model", expected="whole layers")
    return [layers[layer][matrix] for layer in range(len(layers)) for matrix in required]


KINDS: dict[str, Callable[[Iterable[str]], Pools]] = {"bert": _bert, "mt5": _mt5}
