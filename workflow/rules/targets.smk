"""The targets of a run: results that `evaluate` names, and the figures that a configuration can have."""

from polyticket.analysis.row_names import sets_of


def figures():
    """The tables and figures that this configuration can have."""
    pretrained = pretrained_runs()
    measured = config["pretraining"]["conflict"]["mode"] != "none"
    conflict = pretrained and measured
    wanted = {
        "ledger.csv": pretrained,
        "ledger.svg": pretrained,
        "corpus.svg": pretrained,
        "losses.svg": pretrained,
        "held_out.svg": pretrained and config["records"]["held_out_share"],
        "conflict.svg": conflict,
        "conflict_gradients.svg": conflict,
        "conflict_own.svg": conflict,
        "density.svg": ticket_runs(),
        "saliency.svg": methods_of("saliency"),
        "similarity.svg": ticket_runs(),
        "scores.svg": scored("{lang}"),
        "scores.csv": scored("{lang}"),
    }
    return [f"<results>/report/{name}" for name, sources in wanted.items() if sources]


def comparisons():
    """The figures that compare languages and runs."""
    tasks = [task for task, langs in config["zero_shot"].items() if langs]
    compared = [task for task, langs in config["evaluate"].items() if langs]
    return [
        *expand("<results>/zero_shot/{task}.svg", task=tasks),
        *expand("<results>/compare/{task}.svg", task=compared if config["variants"] else []),
    ]


def subnetwork_figures():
    """The figures of sub-networks, if the configuration names some."""
    tasks = [task for task, sources in SUBNETWORKS["find"].items() if sources]
    several = TRANSFERRED and sets_of(list(found_subnetworks()))
    enough = any(len(found_languages(task)) > 2 for task in tasks)
    wanted = {
        "overlap/subnetworks/overlap.svg": several,
        "overlap/subnetworks/linguistic.svg": several and enough and SUBNETWORKS["distances"],
        "retrieval/retrieval.svg": RETRIEVAL["parallel"] and retrieval_places(),
    }
    return [
        *expand(
            "<results>/subnetworks/{task}.winning.{kind}",
            task=tasks,
            kind=["csv", "svg"],
        ),
        *expand("<results>/transfer/{task}.svg", task=tasks if TRANSFERRED else []),
        *(f"<results>/{name}" for name, sources in wanted.items() if tasks and sources),
    ]
