"""Inputs, parameters and resources of the rules in retrieval.smk."""

import math
from dataclasses import replace
from os.path import getsize

RETRIEVAL = SUBNETWORKS["retrieval"]
RETRIEVED = {
    key: RETRIEVAL[key] for key in ("margins", "neighbours", "pooling", "sentences", "max_seq_length", "batch_size")
}


def retrieval_inputs(wildcards):
    """The encoder, the parallel sentences, and the mask file of each language."""
    langs, key = (wildcards.lang, wildcards.other), "subnetworks.retrieval.parallel"
    pattern = RETRIEVAL["parallel"] and RETRIEVAL["parallel"].replace("{other}", langs[1])
    folder = placed_or_stop(pattern, key, langs[0])
    source, target = (
        present_or_stop(f"{folder}/{one}.txt", key, f"{langs[0]}.txt and {langs[1]}.txt, aligned") for one in langs
    )
    seed = SUBNETWORK_SEEDS[0]
    masks = [subnetwork_file(mask, seed) for mask in sides(wildcards.mask_source)]
    names = ("subnetwork", "other_subnetwork")
    return {
        **subnetwork_subject(wildcards),
        "source": source,
        "target": target,
        **{name: mask for name, mask in zip(names, masks) if mask},
    }


def sides(mask_source):
    """The mask sources of both languages, from a wildcard such as `full` or `panx-fr-50+panx-en-50`."""
    first, _, second = mask_source.partition("+")
    return [first, second or first]


def retrieval_pairs():
    """The pairs of languages."""
    if RETRIEVAL["pairs"] is not None:
        return [tuple(pair) for pair in RETRIEVAL["pairs"]]
    tasks = SUBNETWORKS["find"]
    langs = dict.fromkeys(lang for task in tasks for lang in found_languages(task))
    return [(lang, RETRIEVAL["pivot"]) for lang in langs if lang != RETRIEVAL["pivot"]]


def retrieval_languages():
    """All languages that a pair can contain."""
    paired = [lang for pair in retrieval_pairs() for lang in pair]
    return list(dict.fromkeys([*config["languages"], RETRIEVAL["pivot"], *paired]))


def retrieval_masks(lang):
    """The mask sources that are compared: `masks`, or by default the full encoder and each task's sub-network."""
    if RETRIEVAL["masks"] is not None:
        return RETRIEVAL["masks"]
    found = [t for t in SUBNETWORKS["find"] if lang in found_languages(t)]
    return ["full", *(f"{t}-{{lang}}-{level}" for t in found for level in TRANSFERRED)]


def retrieval_places():
    """The two languages, the mask source and the label in the figure, for every retrieval."""
    return [
        (lang, other, mask_source_at(mask, lang, other), mask_label(mask))
        for lang, other in retrieval_pairs()
        for mask in retrieval_masks(lang)
    ]


def mask_source_at(mask, lang, other):
    """The wildcard for an entry of `masks` and a pair of languages."""
    names = mask if isinstance(mask, str) else "+".join(mask)
    return names.replace("{lang}", lang).replace("{other}", other)


def mask_label(mask):
    """The label of an entry of `masks` in the figure: `panx, 50 %`."""
    if not isinstance(mask, str):
        first, second = mask
        own = second.replace("{other}", "{lang}") == first
        return (
            f"{mask_label(first)}, each its own"
            if own and first != second
            else f"{mask_label(first)} and {mask_label(second)}"
        )
    name, dash, percent = mask.replace("-{lang}", "").rpartition("-")
    return f"{name}, {percent} %" if dash and percent[:1].isdigit() else mask


def retrieval_scores(wildcards):
    """The results of every pair and mask source."""
    return [
        f"<results>/retrieval/{lang}/{other}/{mask_source}.json" for lang, other, mask_source, _ in retrieval_places()
    ]


def retrieval_runs(wildcards):
    """The labels of the lines in the figure."""
    return [label for *_, label in retrieval_places()]


def retrieval_mb(wildcards, input):
    """Memory for the states of sentences in every layer: the encoder, masked, a batch of sentences, and all vectors."""
    size = model_size("", subnetwork_source(wildcards))
    shape = RETRIEVED["batch_size"], RETRIEVED["max_seq_length"]
    states = 4 * math.prod(shape) * size.hidden_size * size.num_hidden_layers // 2**20
    computed = size.reading_mb(*shape)
    sentences = RETRIEVED["sentences"] or getsize(input.source) // 40
    vectors = 8 * sentences * size.hidden_size * (size.num_hidden_layers + 1) // 2**20
    return 2500 + 5 * size.parameter_mb() + states + computed + vectors
