"""Score the retrieval of parallel sentences at each layer of an encoder, full or under masks."""

from typing import Any

from polyticket.analysis.retrieval import encode, pooled_states, read_parallel, score_layers
from polyticket.core.files import folder_sha256, sha256, write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.model.hub import located
from polyticket.model.torch_setup import prepare_torch
from polyticket.pruning.mask_sources import mask_source_of
from polyticket.pruning.masked import apply_masks
from polyticket.pruning.model_masks import mask_from, prunable_weights
from polyticket.pruning.settings import check_pooling
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.finetuning import masks_on
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("faiss-cpu", "numpy", "tokenizers", "torch")


def main(inputs: Any, scores: str, *, model: str | None, pair: list[str], mask_source: str, seed: int,
         joint_pool: bool, options: dict, threads: int, limits: Limits) -> None:  # fmt: skip
    device, model, files = prepare_torch(threads), model or inputs.model, [inputs.source, inputs.target]
    backbone, names = read_backbone(model, limits), mask_source.split("+")
    check_pooling(options["pooling"], backbone.kind)
    subnetworks = [inputs.get("subnetwork"), inputs.get("other_subnetwork")]
    texts, states, sides = read_parallel(*files, options["sentences"]), [], []
    for language, sentences, name, path in zip(pair, texts, [names[0], names[-1]], subnetworks, strict=True):
        unknown = backbone.tokenizer.unknown_words(sentences, language).about()
        source = mask_source_of(name)
        own = backbone.reinitialized(seed) if source.reinitialized else backbone
        masks = mask_from(source, prunable_weights(own, joint_pool=joint_pool, pooler=False), seed, path)
        encoder = own.module(language, seed).to(device)
        apply_masks(own.named(encoder), masks)
        longest = min(options["max_seq_length"], own.longest)
        ids, cut = encode(own.tokenizer, sentences, longest, own.kind)
        batching = {"batch_size": options["batch_size"], "pad": own.tokenizer.special("pad")}
        neurons = masks_on(device, own.masks(language))
        states.append(pooled_states(encoder, ids, pooling=options["pooling"], masks=neurons, **batching))
        density = int(masks.counts().sum()) / sum(masks.sizes.values())
        sides.append({"density": density, "truncated": cut, "unknown_words": unknown})
    accuracies = score_layers(*states, margins=options["margins"], k=options["neighbours"])
    digests = {"model": folder_sha256(located(model)), "texts": [sha256(path) for path in files]}
    digests["subnetworks"] = [sha256(path) if path else None for path in subnetworks]
    both = {key: [side[key] for side in sides] for key in ("density", "truncated", "unknown_words")}
    settings = {"source": pair[0], "target": pair[1], "mask_source": mask_source, **both, "device": str(device)}
    provenance = {"options": options, "digests": digests, **made_with(PACKAGES, threads)}
    write_json(scores, {**settings, **accuracies, **provenance})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input,
            snakemake.output.scores,
            model=snakemake.params.source,
            pair=list(snakemake.params.pair),
            mask_source=snakemake.wildcards.mask_source,
            seed=snakemake.params.seed,
            joint_pool=snakemake.params.joint_pool,
            options=dict(snakemake.params.options),
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
