"""A mask from outside, or what several masks all or any keep, checked against the model that it prunes."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.logs import log, logged
from polyticket.pruning.files import OPERATIONS, check_fits, combined, imported, sparsity
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tickets.ticket import write_ticket


def main(inputs: Any, mask: str, *, name: str, source: Mapping[str, Any], model: str | None) -> None:
    backbone, paths = read_backbone(model or inputs.model), list(inputs.masks)
    operation = next((one for one in OPERATIONS if one in source), None)
    if operation is None:
        made = imported(paths[0], name, source.get("row"))
    else:
        made = combined(operation, dict(zip(source[operation], paths, strict=True)), name)
    check_fits(made.masks, backbone.shapes(), backbone.kind, paths[0])
    log.info(f"{name}: {sparsity(made.masks):.2f} % pruned")
    write_ticket(made, mask)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.output.mask,
            name=snakemake.wildcards.name,
            source=snakemake.params.mask,
            model=snakemake.params.source,
        )
