"""Inputs, parameters and resources of the rules in tickets.smk."""


def initial_model(wildcards):
    """The initial model that a run uses."""
    return f"<results>/{initial_of(wildcards.run)}initial"


def allocation_mb(wildcards):
    """Memory to choose a ticket: all languages' scores, sorted and ranked."""
    return 1000 + 12 * masks_mb(size_of(wildcards))
