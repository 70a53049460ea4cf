"""Make the mask of a named mask source: import a file, or combine masks; check it against the model."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.logs import log, logged
from polyticket.pruning.files import OPERATIONS, check_fits_model, combine_masks, import_mask, percent_pruned
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tickets.ticket import write_ticket


def main(inputs: Any, mask: str, *, name: str, source: Mapping[str, Any], model: str | None) -> None:
    backbone, paths = read_backbone(model or inputs.model), list(inputs.masks)
    operation = next((operation for operation in OPERATIONS if operation in source), None)
    if operation is None:
        ticket = import_mask(paths[0], name, source.get("row"))
    else:
        ticket = combine_masks(operation, dict(zip(source[operation], paths, strict=True)), name)
    check_fits_model(ticket.masks, backbone.shapes(), backbone.kind, paths[0])
    log.info(f"{name}: {percent_pruned(ticket.masks):.2f} % pruned")
    write_ticket(ticket, mask)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.output.mask,
            name=snakemake.wildcards.name,
            source=snakemake.params.mask,
            model=snakemake.params.source,
        )
