"""Inputs, parameters and resources of the rules in transfer.smk."""

from itertools import chain

from polyticket.pruning.mask_sources import own_mask_sources


def transfer_steps(wildcards):
    """Updates in each fine-tuning under a mask."""
    found = setting_of("transfer_steps", wildcards.task)
    return search_steps(wildcards) if found is None else found


def transfer_options(wildcards):
    """The options of a fine-tuning under a mask."""
    longest = setting_of("transfer_max_seq_length", wildcards.task)
    changed = {} if longest is None else {"max_seq_length": longest}
    return subnetwork_options(wildcards) | changed


def transferred_mask(wildcards):
    """The mask file of the wildcard `mask_source`, found with the same seed."""
    return subnetwork_file(wildcards.mask_source, wildcards.seed)


def transfer_mask_sources():
    """The rows of a transfer table: the full model, all masks at each sparsity of transfer, and further mask sources."""
    at_level = [
        mask_source
        for level in TRANSFERRED
        for mask_source in (
            *(f"{t}-{one}-{level}" for t, them in SUBNETWORKS["find"].items() for one in them),
            f"magnitude-{level}",
            f"random-{level}",
        )
    ]
    return ["full", *at_level, *MASK_SOURCES, *SUBNETWORKS["extra_mask_sources"]]


def transfer_targets(task):
    """The columns of a transfer table: the languages in `find`, with all languages of a mix."""
    found = SUBNETWORKS["find"].get(task) or config["evaluate"][task]
    langs = [SUBNETWORKS["mixes"].get(source, [source]) for source in found]
    return list(dict.fromkeys(chain.from_iterable(langs)))


def transfer_results(wildcards):
    """The results of every mask source, language and seed."""
    return expand(
        "<results>/transfer/{{task}}/{lang}/{mask_source}/seed_{seed}.json",
        mask_source=transfer_mask_sources(),
        lang=transfer_targets(wildcards.task),
        seed=SUBNETWORK_SEEDS,
    )


def own_results(wildcards):
    """The results of fine-tuning under every mask of a search, for the task, source and seed that it was found for."""
    task = wildcards.task
    return [
        f"<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.json"
        for source in SUBNETWORKS["find"].get(task, [])
        for mask_source in own_mask_sources(task, source, SPARSITIES, SUBNETWORKS["controls"])
        for seed in SUBNETWORK_SEEDS
    ]
