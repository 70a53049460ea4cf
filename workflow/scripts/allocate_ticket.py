"""One ticket for all languages: the highest scores within the budget."""

from typing import Any

from polyticket.core.files import folder_sha256, read_json, sha256, write_json
from polyticket.core.logs import logged
from polyticket.model.shape import BertShape
from polyticket.saliency.score_files import ScoreFiles
from polyticket.tickets.allocation import allocate
from polyticket.tickets.ticket import Ticket, write_ticket


def main(
    scores: list[str], model: str, ticket: str, stats: str, *, languages: list[str], options: dict, **how: Any
) -> None:
    files = ScoreFiles(scores, languages)
    # uniform noise keeps one rate everywhere only if sites of different width are not rescaled against each other
    how |= options | {"normalise": how["saliency"] != "random_uniform"}
    how["heads"] = BertShape.from_config(read_json(f"{model}/config.json")).num_attention_heads
    named = {key: how[key] for key in ("scope", "normalise", "heads", *options)}
    found = allocate(files, how["remain_ratio"], **named, languages=languages, where=files.paths)
    how["scoring"] = files.settings()
    how |= {"initial": folder_sha256(model), "threshold": found.threshold}
    files.check_initial(how["initial"])
    budget = {"asked": found.asked, "kept": found.kept}
    made = Ticket(languages, found.masks, how | {"budget": budget, "scores": files.digests()})
    write_ticket(made, ticket)
    by_site = {site: bits.mean(1).tolist() for site, bits in found.masks.items()}
    write_json(
        stats,
        {"sha256": sha256(ticket), **how, "budget": budget, "density": made.densities(), "density_by_site": by_site},
    )


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.input.model,
            snakemake.output.ticket,
            snakemake.output.stats,
            options={key: snakemake.params.ticket[key] for key in ("floor", "align")},
            scope=snakemake.params.ticket["scope"],
            **{k: snakemake.params[k] for k in ("languages", "saliency", "remain_ratio", "seed")},
        )
