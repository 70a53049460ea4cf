"""One ticket for all languages: the highest scores within the budget."""

from typing import Any

from polyticket.files import folder_sha256, sha256, write_json
from polyticket.logs import logged
from polyticket.tickets.allocation import allocate
from polyticket.tickets.scores import read_saliency
from polyticket.tickets.ticket import Ticket, write_ticket


def main(scores: list[str], model: str, ticket: str, stats: str, *, languages: list[str], **how: Any) -> None:
    # uniform noise keeps one rate everywhere only if sites of different width are not rescaled against each other
    uniform = how["saliency"] == "random_uniform"
    masks = allocate(
        [read_saliency(path).scores for path in scores], how["remain_ratio"], scope=how["scope"], normalise=not uniform
    )
    digests = {language: sha256(path) for language, path in zip(languages, scores, strict=True)}
    made = Ticket(tuple(languages), masks, how | {"initial": folder_sha256(model), "scores": digests})
    write_ticket(made, ticket)
    density = {language: made.density(language) for language in languages}
    by_site = {site: bits.mean(1).tolist() for site, bits in masks.items()}
    write_json(stats, {"sha256": sha256(ticket), **how, "density": density, "density_by_site": by_site})


with logged(snakemake.log[0]):
    main(
        list(snakemake.input.scores),
        snakemake.input.model,
        snakemake.output.ticket,
        snakemake.output.stats,
        **{k: snakemake.params[k] for k in ("languages", "saliency", "remain_ratio", "scope", "seed")},
    )
