"""Scores of every prunable site on one language's records, by several methods at once."""

from functools import partial
from typing import Any

from polyticket.files import folder_sha256, write_json
from polyticket.logs import logged
from polyticket.model.folder import read_model
from polyticket.records.reading import read_batches
from polyticket.saliency.score import score_language
from polyticket.tickets.scores import Saliency, write_saliency


def main(records: str, model: str, scores: list[str], stats: list[str], *, options: dict, **how: Any) -> None:
    methods, language = how["methods"], how["language"]
    batch_size = options["batch_size"]
    found = score_language(
        read_model(model),
        partial(read_batches, records, batch_size),
        methods=methods,
        seed=how["seed"],
        threads=how["compute_threads"],
        language_index=how["language_index"],
        label=f"saliency {language}",
        **{name: value for name, value in options.items() if name != "batch_size"},
    )
    made = {"language": language, "seed": how["seed"] + how["language_index"], "batch_size": batch_size}
    made |= {"precision": options["precision"], "tokens": found.tokens}
    made |= {"initial": folder_sha256(model), "records": folder_sha256(records)}
    names = ("batches", "epochs", "masked_lm_loss", "next_sentence_loss", "stopped_early")
    measured = {name: getattr(found, name) for name in names} | {"agreement_ratio": options["agreement_ratio"]}
    for method, file, beside in zip(methods, scores, stats, strict=True):
        own = {"method": method} | made
        write_saliency(Saliency(found.scores[method], own), file)
        write_json(beside, own | measured | {"agreement": found.agreement.get(method)})


with logged(snakemake.log[0]):
    main(
        snakemake.input.records,
        snakemake.input.model,
        list(snakemake.output.scores),
        list(snakemake.output.stats),
        language=snakemake.wildcards.lang,
        **{k: snakemake.params[k] for k in ("methods", "options", "seed", "language_index", "compute_threads")},
    )
