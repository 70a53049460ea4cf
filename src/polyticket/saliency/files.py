"""One language's records and an initial model -> saliency files of several methods, with their statistics."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from polyticket.core.files import Pathlike, folder_sha256, write_json
from polyticket.model.folder import read_model
from polyticket.records.reading import read_batches
from polyticket.saliency.methods import METHODS
from polyticket.saliency.score import score_language
from polyticket.saliency.score_files import SETTINGS, Saliency, write_saliency


def score_to_files(
    records: Pathlike,
    model: Pathlike,
    scores: Sequence[Pathlike],
    stats: Sequence[Pathlike],
    *,
    methods: Sequence[str],
    options: Mapping[str, Any],
    language: str,
    language_index: int,
    seed: int,
    threads: int,
) -> None:
    """Score a language by all methods in one pass over its records.

    The head of each file says method, language and digests and, where the method reads records, all that decides the
    scores besides: `SETTINGS`.

    Args:
        records: The language's folder of records.
        model: The initial model's folder.
        scores: A file to write for each method.
        stats: A file of statistics for each method.
        methods: What to score by.
        options: `batch_size`, and other arguments of `score_language`.
        language: The language's code.
        language_index: Its row.
        seed: The run's seed.
        threads: Compute threads; they are part of the arithmetic.

    Raises:
        PolyticketError: See `score_language`.
    """
    batch_size = options["batch_size"]
    found = score_language(
        read_model(model),
        partial(read_batches, records, batch_size),
        methods=methods,
        seed=seed,
        threads=threads,
        language_index=language_index,
        label=f"saliency {language}",
        **{name: value for name, value in options.items() if name != "batch_size"},
    )
    made = {"language": language, "language_index": language_index, "seed": seed, "initial": folder_sha256(model)}
    read = {"records": folder_sha256(records), "tokens": found.tokens, "stopped_early": found.stopped_early}
    read |= _settings(options)
    names = ("batches", "epochs", "masked_lm_loss", "next_sentence_loss")
    measured = {name: getattr(found, name) for name in names} | {"agreement_ratio": options["agreement_ratio"]}
    for method, file, beside in zip(methods, scores, stats, strict=True):
        own = {"method": method} | made
        decided = own | (read if METHODS[method].reads == "records" else {})
        write_saliency(Saliency(found.scores[method], decided), file)
        write_json(beside, own | read | measured | {"agreement": found.agreement.get(method)})


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    found = {"stop_when_stable": None} | {key: options[key] for key in SETTINGS if key in options}
    if found["stop_when_stable"] is None:
        del found["agreement_ratio"]  # decides nothing
    return found
