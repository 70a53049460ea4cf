"""How alike two BERT-base weight masks are, against float tensors; and all pairs of 103 languages' neuron tickets."""

import numpy as np
import torch
from side_by_side import grown, in_turn, report

from polyticket.core.languages import CODES
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.tickets.algebra import similarities, similarity
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket

BASE = BertShape(119547, 768, 12, 12, 3072)
WIDE = BertShape(119547, 1024, 12, 16, 4096)
DENSITY = 0.5


def matrices(shape: BertShape) -> dict[str, tuple[int, int]]:
    """The prunable weight matrices of a BERT, [out, in]."""
    H, width = shape.hidden_size, shape.intermediate_size
    per_layer = {f"attention.self.{name}": (H, H) for name in ("query", "key", "value")}
    per_layer |= {"attention.output.dense": (H, H), "intermediate.dense": (width, H), "output.dense": (H, width)}
    found = {
        f"bert.encoder.layer.{layer}.{name}.weight": size
        for layer in range(shape.num_hidden_layers)
        for name, size in per_layer.items()
    }
    return found | {"bert.pooler.dense.weight": (H, H)}


def by_float_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Agreement and Jaccard index of masks that are a float for each weight."""
    bits = agreeing = both = either = 0.0
    for name, mask in one.items():
        total = mask + other[name]
        both += float((total == 2).float().sum(dtype=torch.float64))
        agreeing += float((total != 1).float().sum(dtype=torch.float64))
        either += float((total > 0).float().sum(dtype=torch.float64))
        bits += mask.numel()
    return agreeing / bits, both / either


def by_popcount(ticket: Ticket) -> tuple[float, float]:
    """The same, of a ticket of two rows."""
    found = similarity(ticket)
    return float(found.agreement()[0, 0, 1]), float(found.jaccard()[0, 0, 1])


def all_pairs(ticket: Ticket) -> None:
    """Agreement, Jaccard index and what chance would give, of all pairs, in all and by layer and component."""
    for found in similarities(ticket, "all", "layer", "component"):
        for measure in (found.agreement, found.jaccard, found.expected_agreement, found.expected_jaccard):
            measure()


def main() -> None:
    random = np.random.default_rng(1)
    masks = {name: random.random((2, *size), np.float32) < DENSITY for name, size in matrices(BASE).items()}
    weights = Ticket(("one", "other"), Masks.packed(masks, 2), unit="weight")
    floats = [{name: torch.from_numpy(bits[row]).float() for name, bits in masks.items()} for row in range(2)]
    sizes = {site.name: site.size for site in prunable_sites(WIDE)}
    neurons = Ticket(CODES, {site: random.random((len(CODES), size)) < 0.75 for site, size in sizes.items()})
    assert by_popcount(weights) == by_float_tensors(*floats), "both sides must find the same"
    sides = {
        "one pair, float tensors": lambda: by_float_tensors(*floats),
        "one pair, popcount": lambda: by_popcount(weights),
        f"{len(CODES)} languages, all pairs by layer and component": lambda: all_pairs(neurons),
    }
    seconds = in_turn(sides, rounds=5)
    bits = sum(weights.masks.sizes.values())
    print(f"a pair of masks of {bits:,} weights; {len(CODES)} masks of {sum(sizes.values()):,} neurons")
    ratio = seconds["one pair, float tensors"] / seconds["one pair, popcount"]
    part = {
        rows: Ticket(CODES[:rows], {site: neurons.masks[site][:rows] for site in sizes}) for rows in (26, len(CODES))
    }
    growth = grown(lambda rows: lambda: all_pairs(part[rows]), part)
    report("algebra", seconds, ratio=ratio, unit="s", n=bits, megabytes=seconds.megabytes, sizes=growth)


if __name__ == "__main__":
    main()
