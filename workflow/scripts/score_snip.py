"""SNIP scores of every prunable site on one language's records."""

from functools import partial
from typing import Any

from polyticket.files import folder_sha256, write_json
from polyticket.logs import logged
from polyticket.model.folder import read_model
from polyticket.records.reading import read_batches
from polyticket.saliency.score import score_language
from polyticket.tickets.scores import Saliency, write_saliency


def main(records: str, model: str, scores: str, stats: str, *, language: str, options: dict, **params: Any) -> None:
    seed = params["seed"] + params["language_index"]
    batch_size = options["batch_size"]
    found = score_language(
        read_model(model),
        partial(read_batches, records, batch_size),
        methods=["snip"],
        token_budget=options["token_budget"],
        dropout=options["dropout"],
        seed=seed,
        threads=params["compute_threads"],
        label=f"saliency {language}",
    )
    made = {"method": "snip", "language": language, "seed": seed, "batch_size": batch_size, "tokens": found.tokens}
    made |= {"initial": folder_sha256(model), "records": folder_sha256(records)}
    write_saliency(Saliency(found.scores["snip"], made), scores)
    measured = {name: getattr(found, name) for name in ("batches", "epochs", "masked_lm_loss", "next_sentence_loss")}
    write_json(stats, made | measured | {"agreement": found.agreement["snip"]})


with logged(snakemake.log[0]):
    main(
        snakemake.input.records,
        snakemake.input.model,
        snakemake.output.scores,
        snakemake.output.stats,
        language=snakemake.wildcards.lang,
        **{k: snakemake.params[k] for k in ("options", "seed", "language_index", "compute_threads")},
    )
