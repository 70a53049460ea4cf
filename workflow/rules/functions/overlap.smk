"""Inputs, parameters and resources of the rules in overlap.smk."""


def found_languages(task):
    """The languages in `find`, without mixes."""
    return [source for source in SUBNETWORKS["find"][task] if source in config["languages"]]


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
    """The names of the rows that are compared."""
    return ["ticket"] if wildcards.compared == "tickets" else list(found_subnetworks())


def distance_files(wildcards):
    """The files of linguistic distances."""
    keys = {kind: f"subnetworks.distances.{kind}" for kind in SUBNETWORKS["distances"]}
    return [
        present_or_stop(placed_or_stop(path, keys[kind]), keys[kind], "a CSV file")
        for kind, path in SUBNETWORKS["distances"].items()
    ]


def distance_options(wildcards):
    """The options of the Mantel test; of several tasks or sparsities, the first is compared."""
    own, kinds = wildcards.compared == "subnetworks", list(SUBNETWORKS["distances"])
    mantel = SUBNETWORKS["mantel"]
    return {
        "measure": mantel["measure"],
        "task": (next((t for t in SUBNETWORKS["find"] if len(found_languages(t)) > 2), None) if own else None),
        "sparsity": TRANSFERRED[0] if own else None,
        "method": mantel["method"],
        "permutations": mantel["permutations"],
        "seed": config["seed"],
        "family": mantel["family"] or ("genetic" if "genetic" in kinds else kinds[0]),
    }
