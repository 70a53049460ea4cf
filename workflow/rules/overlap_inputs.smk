"""What comparisons of sub-networks read: the sub-networks, linguistic distances, parallel sentences."""

from polyticket.pruning.mask_sources import own_mask_sources

RETRIEVAL = SUBNETWORKS["retrieval"]
RETRIEVED = {
    **{k: RETRIEVAL[k] for k in ("margins", "neighbours", "pooling", "sentences")},
    "max_seq_length": 128,
    "batch_size": 64,
}


def found_subnetworks():
    """The sub-networks of languages at the sparsity of transfer: row `task/language/seed/sparsity` to the file."""
    return {
        f"{task}/{lang}/{seed}/{level}": f"<results>/subnetworks/{seed_part(seed)}{task}/{lang}/{level}.safetensors"
        for level in TRANSFERRED
        for task in SUBNETWORKS["find"]
        for lang in found_languages(task)
        for seed in SUBNETWORK_SEEDS
    }


def compared_tickets(wildcards):
    """The sub-networks, or the ticket of all languages."""
    if wildcards.compared == "tickets":
        return ["<results>/ticket.safetensors"]
    return list(found_subnetworks().values())


def compared_names(wildcards):
    """What the rows of comparisons are called."""
    return ["ticket"] if wildcards.compared == "tickets" else list(found_subnetworks())


def own_results(wildcards):
    """What fine-tuning for a task gives under every mask that was found for it, for the same source and seed."""
    task = wildcards.task
    return [
        f"<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.json"
        for source in SUBNETWORKS["find"].get(task, [])
        for mask_source in own_mask_sources(task, source, SPARSITIES, SUBNETWORKS["controls"])
        for seed in SUBNETWORK_SEEDS
    ]


def distance_files(wildcards):
    """The files of linguistic distances."""
    keys = {kind: f"subnetworks.distances.{kind}" for kind in SUBNETWORKS["distances"]}
    return [
        present_or_stop(placed_or_stop(path, keys[kind]), keys[kind], "a CSV file")
        for kind, path in SUBNETWORKS["distances"].items()
    ]


def distance_options(wildcards):
    """How tickets are compared with languages: by Jaccard beyond chance; of several tasks or sparsities, by the first."""
    own, kinds = wildcards.compared == "subnetworks", list(SUBNETWORKS["distances"])
    return {
        "measure": "jaccard_beyond_chance",
        "task": (next((t for t in SUBNETWORKS["find"] if len(found_languages(t)) > 2), None) if own else None),
        "sparsity": TRANSFERRED[0] if own else None,
        "method": "pearson",
        "permutations": 10000,
        "seed": config["seed"],
        "family": "genetic" if "genetic" in kinds else kinds[0],
    }


def retrieval_inputs(wildcards):
    """The encoder, the parallel sentences, and the sub-network that prunes it for each language."""
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
    """The mask sources of the first and the second language of a retrieval, such as `full` or `panx-fr-50+panx-en-50`."""
    first, _, second = mask_source.partition("+")
    return [first, second or first]


def retrieval_pairs():
    """The pairs of languages, first and second."""
    if RETRIEVAL["pairs"] is not None:
        return [tuple(pair) for pair in RETRIEVAL["pairs"]]
    tasks = SUBNETWORKS["find"]
    langs = dict.fromkeys(lang for task in tasks for lang in found_languages(task))
    return [(lang, "en") for lang in langs if lang != "en"]


def retrieval_languages():
    """The languages that a pair may be of."""
    paired = [lang for pair in retrieval_pairs() for lang in pair]
    return list(dict.fromkeys([*config["languages"], "en", *paired]))


def retrieval_masks(lang):
    """The mask sources that are compared in a language, as `masks` says: by default the full encoder, and each task's."""
    if RETRIEVAL["masks"] is not None:
        return RETRIEVAL["masks"]
    found = [t for t in SUBNETWORKS["find"] if lang in found_languages(t)]
    return ["full", *(f"{t}-{{lang}}-{level}" for t in found for level in TRANSFERRED)]


def retrieval_places():
    """The pair, the mask source and what the figure calls it, of every retrieval."""
    return [
        (lang, other, mask_source_at(mask, lang, other), mask_label(mask))
        for lang, other in retrieval_pairs()
        for mask in retrieval_masks(lang)
    ]


def mask_source_at(mask, lang, other):
    """A mask source of the configuration, one or one a side, for a pair of languages."""
    names = mask if isinstance(mask, str) else "+".join(mask)
    return names.replace("{lang}", lang).replace("{other}", other)


def mask_label(mask):
    """What a figure calls a mask source: `panx, 50 %`."""
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
    """The scores of every pair and mask source."""
    return [
        f"<results>/retrieval/{lang}/{other}/{mask_source}.json" for lang, other, mask_source, _ in retrieval_places()
    ]


def retrieval_runs(wildcards):
    """What the lines of the figure are called."""
    return [label for *_, label in retrieval_places()]
