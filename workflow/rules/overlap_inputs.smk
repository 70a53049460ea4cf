"""What comparisons of sub-networks read: the sub-networks, linguistic distances, parallel sentences."""

PRUNINGS = ["magnitude", *SUBNETWORKS["controls"]]
RETRIEVAL = {
    "margins": ["absolute", "distance", "ratio"],
    "neighbours": 5,
    "pooling": "mean",
    "most": 1000,
    "max_seq_length": 128,
    "batch_size": 64,
}


def found_subnetworks():
    """The sub-networks of languages at the sparsity of transfer: row `task/language/seed/sparsity` to the file."""
    return {
        f"{task}/{lang}/{seed}/{LEVEL}": f"<results>/subnetworks/{seed_part(seed)}{task}/{lang}/{LEVEL}.safetensors"
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


def all_levels(wildcards):
    """The levels of every pruning, source and seed of a task."""
    prefixes = ["" if how == "magnitude" else f"{how}/" for how in PRUNINGS]
    return [
        f"<results>/subnetworks/{prefix}{seed_part(seed)}{wildcards.task}/{source}/levels.json"
        for prefix in prefixes
        for source in SUBNETWORKS["find"].get(wildcards.task, [])
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
    """How tickets are compared with languages: by Jaccard beyond chance; of several tasks, by the first."""
    own, kinds = wildcards.compared == "subnetworks", list(SUBNETWORKS["distances"])
    return {
        "measure": "jaccard_beyond_chance",
        "task": (
            next((t for t in SUBNETWORKS["find"] if len(found_languages(t)) > 2), None)
            if own
            else None
        ),
        "sparsity": LEVEL if own else None,
        "method": "pearson",
        "permutations": 10000,
        "seed": config["seed"],
        "family": "genetic" if "genetic" in kinds else kinds[0],
    }


def retrieval_inputs(wildcards):
    """The encoder, the parallel sentences, and the sub-network that prunes it."""
    lang = wildcards.lang
    key = "subnetworks.retrieval"
    folder = placed_or_stop(SUBNETWORKS["retrieval"], key, lang)
    source, target = (
        present_or_stop(
            f"{folder}/{one}.txt", key, "a folder with {lang}.txt and en.txt"
        )
        for one in (lang, "en")
    )
    mask = subnetwork_file(wildcards.origin, SUBNETWORK_SEEDS[0])
    return {
        **subnetwork_subject(wildcards),
        "source": source,
        "target": target,
        **({"subnetwork": mask} if mask else {}),
    }


def retrieval_places():
    """Language and origin of every retrieval: the full encoder first, then each task's sub-network of the language."""
    tasks = SUBNETWORKS["find"]
    langs = dict.fromkeys(lang for task in tasks for lang in found_languages(task))
    return [
        (lang, origin)
        for lang in langs
        if lang != "en"
        for origin in (
            "full",
            *(f"{t}-{lang}-{LEVEL}" for t in tasks if lang in found_languages(t)),
        )
    ]


def retrieval_scores(wildcards):
    """The scores of every language and origin."""
    return [
        f"<results>/retrieval/{lang}/{origin}.json"
        for lang, origin in retrieval_places()
    ]


def retrieval_runs(wildcards):
    """What the lines of the figure are called."""
    return [
        "full" if origin == "full" else f"{origin.split('-')[0]}, {LEVEL} %"
        for _, origin in retrieval_places()
    ]
