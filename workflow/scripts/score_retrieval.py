"""How often the translation of a sentence is the one retrieved, at each layer of an encoder, dense or pruned."""

from typing import Any

from polyticket.errors import PolyticketError
from polyticket.files import folder_sha256, sha256, write_json
from polyticket.logs import logged
from polyticket.model.hub import located
from polyticket.model.torch_setup import prepare_torch
from polyticket.provenance import made_with
from polyticket.subnetworks.candidates import candidates_of
from polyticket.subnetworks.masked import apply_
from polyticket.subnetworks.origins import origin_of
from polyticket.subnetworks.retrieval import scores_of
from polyticket.subnetworks.sentence_states import encode, pooled_states, read_parallel
from polyticket.subnetworks.transfer import mask_from
from polyticket.tasks.finetune import masks_on
from polyticket.tasks.subject import read_subject
from polyticket.unknown_words import Limits

PACKAGES = ("faiss-cpu", "numpy", "tokenizers", "torch")


def main(inputs: Any, scores: str, *, source: str | None, pair: list[str], origin: str, seed: int, options: dict,
         threads: int, limits: Limits) -> None:  # fmt: skip
    device, wanted, model = prepare_torch(threads), origin_of(origin), source or inputs.model
    subject = read_subject(model, limits)
    if subject.kind != "bert":
        raise PolyticketError(f"an {subject.kind}", where="config subnetworks.retrieval", expected="a BERT, or null")
    if wanted.reinitialized:
        subject = subject.reinitialized(seed)
    masks = mask_from(wanted, candidates_of(subject), seed, inputs.get("subnetwork"))
    encoder = subject.body(pair[0], seed).to(device)
    apply_(subject.named(encoder), masks)
    texts, states, cut, unknown = [inputs.source, inputs.target], [], [], []
    for language, sentences in zip(pair, read_parallel(*texts, options["most"]), strict=True):
        unknown.append(subject.pieces.unknown_words(sentences, language).about())
        ids, too_long = encode(subject.pieces, sentences, min(options["max_seq_length"], subject.longest))
        how = {"pooling": options["pooling"], "batch_size": options["batch_size"], "pad": subject.pieces.special("pad")}
        states.append(pooled_states(encoder, ids, masks=masks_on(device, subject.masks(language)), **how))
        cut.append(too_long)
    found = scores_of(*states, margins=options["margins"], k=options["neighbours"])
    digests = {"model": folder_sha256(located(model)), "texts": [sha256(path) for path in texts]}
    digests["subnetwork"] = sha256(inputs.subnetwork) if inputs.get("subnetwork") else None
    about = {"source": pair[0], "target": pair[1], "origin": origin, "truncated": cut, "unknown_words": unknown}
    about["device"] = str(device)
    write_json(scores, about | found | {"options": options, "digests": digests} | made_with(PACKAGES, threads))


with logged(snakemake.log[0]):
    main(
        snakemake.input,
        snakemake.output.scores,
        source=snakemake.params.source,
        pair=list(snakemake.params.pair),
        origin=snakemake.wildcards.origin,
        seed=snakemake.params.seed,
        options=dict(snakemake.params.options),
        threads=snakemake.params.compute_threads,
        limits=Limits.of(snakemake.resources.unknown_words),
    )
