"""How often the translation of a sentence is the one retrieved, at each layer of an encoder, dense or pruned."""

from typing import Any

from polyticket.analysis.retrieval import encode, pooled_states, read_parallel, scores_of
from polyticket.core.files import folder_sha256, sha256, write_json
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.model.hub import located
from polyticket.model.torch_setup import prepare_torch
from polyticket.pruning.mask_sources import mask_source_of
from polyticket.pruning.masked import apply_
from polyticket.pruning.model_masks import candidates_of, mask_from
from polyticket.pruning.settings import check_pooling
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.finetuning import masks_on
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("faiss-cpu", "numpy", "tokenizers", "torch")


def main(inputs: Any, scores: str, *, source: str | None, pair: list[str], mask_source: str, seed: int, together: bool,
         options: dict, threads: int, limits: Limits) -> None:  # fmt: skip
    device, model, files = prepare_torch(threads), source or inputs.model, [inputs.source, inputs.target]
    backbone, named = read_backbone(model, limits), mask_source.split("+")
    check_pooling(options["pooling"], backbone.kind)
    subnetworks = [inputs.get("subnetwork"), inputs.get("other_subnetwork")]
    texts, states, about = read_parallel(*files, options["sentences"]), [], []
    for language, sentences, name, path in zip(pair, texts, [named[0], named[-1]], subnetworks, strict=True):
        unknown = backbone.tokenizer.unknown_words(sentences, language).about()
        wanted = mask_source_of(name)
        own = backbone.reinitialized(seed) if wanted.reinitialized else backbone
        masks = mask_from(wanted, candidates_of(own, together=together, pooler=False), seed, path)
        encoder = own.module(language, seed).to(device)
        apply_(own.named(encoder), masks)
        longest = min(options["max_seq_length"], own.longest)
        ids, cut = encode(own.tokenizer, sentences, longest, own.kind)
        how = {"pooling": options["pooling"], "batch_size": options["batch_size"], "pad": own.tokenizer.special("pad")}
        states.append(pooled_states(encoder, ids, masks=masks_on(device, own.masks(language)), **how))
        kept = int(masks.counts().sum()) / sum(masks.sizes.values())
        about.append({"density": kept, "truncated": cut, "unknown_words": unknown})
    found = scores_of(*states, margins=options["margins"], k=options["neighbours"])
    digests = {"model": folder_sha256(located(model)), "texts": [sha256(path) for path in files]}
    digests["subnetworks"] = [sha256(path) if path else None for path in subnetworks]
    both = {key: [one[key] for one in about] for key in ("density", "truncated", "unknown_words")}
    made = {"source": pair[0], "target": pair[1], "mask_source": mask_source, **both, "device": str(device)}
    write_json(scores, made | found | {"options": options, "digests": digests} | made_with(PACKAGES, threads))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.output.scores,
            source=snakemake.params.source,
            pair=list(snakemake.params.pair),
            mask_source=snakemake.wildcards.mask_source,
            seed=snakemake.params.seed,
            together=snakemake.params.together,
            options=dict(snakemake.params.options),
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
