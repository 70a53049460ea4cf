"""Which weights compete for being kept, found by their names: the matrices of all layers, however many there are."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from polyticket.core.errors import PolyticketError

Shape = tuple[int, ...]
Pools = dict[str, list[str]]
WHOLE = "all"
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


def pools_of(shapes: Mapping[str, Iterable[int]], kind: str, *, together: bool = False, pooler: bool = True) -> Pools:
    """The weights that compete for one budget, by pool, in the order that decides between equal magnitudes.

    BERT has one pool, `all`: layer by layer query, key, value, attention output, intermediate and output; the pooler's
    matrix last, if there is one and it is read. mT5 has the pools `encoder` and `decoder`: block by block q, k, v, o of
    self-attention, those of cross-attention, wi_0, wi_1, wo. Embeddings, LayerNorm, relative position biases, biases
    and heads are in no pool.

    Args:
        shapes: The name of each parameter of the model, as PyTorch has it, to its shape.
        kind: `bert` (any model whose layers have BERT's names, such as XLM-R) or `mt5`.
        together: Whether encoder and decoder are one pool, `all`, the encoder's first.
        pooler: Whether a pooler is read; where it is not, it is in no pool.

    Raises:
        PolyticketError: No weight of such a model, a layer that lacks one, or a weight that is no matrix.
    """
    if kind not in KINDS:
        raise PolyticketError(f"unknown kind of model {kind!r}", where="subnetwork", expected=", ".join(KINDS))
    found = KINDS[kind](name for name in shapes if pooler or not name.endswith(POOLER))
    for name in chain.from_iterable(found.values()):
        if len(shape := tuple(shapes[name])) != 2 or not all(shape):
            raise PolyticketError(f"{name} has shape {list(shape)}", where="model", expected="[out, in]")
    return {WHOLE: list(chain.from_iterable(found.values()))} if together else found


def _bert(names: Iterable[str]) -> Pools:
    layers: dict[int, dict[str, str]] = {}
    prefixes, names = set(), set(names)
    for name in names:
        if found := _LAYER.fullmatch(name):
            prefixes.add(found[1])
            layers.setdefault(int(found[2]), {})[found[3]] = name
    if len(prefixes) != 1:
        said = "no layer" if not prefixes else f"{len(prefixes)} encoders"
        raise PolyticketError(said, where="model", expected="one encoder, with names such as …encoder.layer.0.…")
    (prefix,) = prefixes
    pooler = f"{prefix}{POOLER}"
    return {WHOLE: _ordered(layers, _BERT, f"{prefix}encoder.layer") + [pooler] * (pooler in names)}


def _mt5(names: Iterable[str]) -> Pools:
    blocks: dict[str, dict[int, dict[str, str]]] = {}
    for name in names:
        if found := _BLOCK.fullmatch(name):
            if found[4] in (block := blocks.setdefault(found[2], {}).setdefault(int(found[3]), {})):
                raise PolyticketError(f"{name} and {block[found[4]]}", where="model", expected="one of each")
            block[found[4]] = name
    pools = {}
    for side in _SIDES:
        if side not in blocks:
            raise PolyticketError(f"no block of an mT5's {side}", where="model", expected=f"{side}.block.0.…")
        attentions = ("SelfAttention", "EncDecAttention") if side == "decoder" else ("SelfAttention",)
        needed = [f"{module}.{part}" for module in attentions for part in _ATTENTION]
        needed += [f"DenseReluDense.{part}" for part in _FEED_FORWARD]
        pools[side] = _ordered(blocks[side], needed, f"{side}.block")
    return pools


def _ordered(layers: Mapping[int, Mapping[str, str]], needed: Iterable[str], at: str) -> list[str]:
    for layer in range(max(layers) + 1):
        if lost := [part for part in needed if part not in layers.get(layer, {})]:
            raise PolyticketError(f"{at}.{layer} has no {lost[0]}.weight", where="model", expected="whole layers")
    return [layers[layer][part] for layer in range(len(layers)) for part in needed]


KINDS: dict[str, Callable[[Iterable[str]], Pools]] = {"bert": _bert, "mt5": _mt5}
