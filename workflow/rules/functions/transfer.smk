"""Inputs, parameters and resources of the rules in transfer.smk."""

from itertools import chain

from polyticket.pruning.mask_sources import own_mask_sources


def transfer_steps(wildcards):
    """Updates in each fine-tuning under a mask."""
    found = setting_of("transfer_steps", wildcards.task)
    return search_steps(wildcards) if found is None else found


def transfer_options(wildcards):
    """How a task is fine-tuned under a mask."""
    longest = setting_of("transfer_max_seq_length", wildcards.task)
    changed = {} if longest is None else {"max_seq_length": longest}
    return subnetwork_options(wildcards) | changed


def transferred_mask(wildcards):
    """The sub-network that a mask source names, found with the same seed; none of masks that need no search."""
    return subnetwork_file(wildcards.mask_source, wildcards.seed)


def transfer_mask_sources():
    """The mask sources of transfer: the full model, and at each sparsity what was found and what needs no search."""
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
    """The languages that are fine-tuned under masks: of a mix all that are in it."""
    found = SUBNETWORKS["find"].get(task) or config["evaluate"][task]
    langs = [SUBNETWORKS["mixes"].get(source, [source]) for source in found]
    return list(dict.fromkeys(chain.from_iterable(langs)))


def transfer_results(wildcards):
    """Every mask source, language and seed, in order."""
    return expand(
        "<results>/transfer/{{task}}/{lang}/{mask_source}/seed_{seed}.json",
        mask_source=transfer_mask_sources(),
        lang=transfer_targets(wildcards.task),
        seed=SUBNETWORK_SEEDS,
    )


def own_results(wildcards):
    """What fine-tuning for a task gives under every mask that was found for it, for the same source and seed."""
    task = wildcards.task
    return [
        f"<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.json"
        for source in SUBNETWORKS["find"].get(task, [])
        for mask_source in own_mask_sources(task, source, SPARSITIES, SUBNETWORKS["controls"])
        for seed in SUBNETWORK_SEEDS
    ]
