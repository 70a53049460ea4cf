"""What a run is asked for: the results that `evaluate` names, and the figures that its configuration can have."""

from polyticket.analysis.row_names import sets_of


def scored(pattern):
    """A result path, filled in for every run, task and language that `evaluate` names."""
    return [
        pattern.format(run=run, task=task, lang=lang)
        for run in runs()
        for task, langs in config["evaluate"].items()
        if run in runs_of(task)
        for lang in langs
    ]


def baselines():
    """What each task and language that `evaluate` names must beat, where there is a most frequent answer."""
    return [
        f"<results>/baseline/{task}/{lang}.json"
        for task, langs in config["evaluate"].items()
        if has_baseline(task)
        for lang in langs
    ]


def at_phase_ends(pattern):
    """A result path, filled in for every run that is pretrained, and every phase."""
    return [pattern.format(run=run, phase=number) for run in pretrained_runs() for number in range(1, len(PHASES) + 1)]


def at_last_step(pattern):
    """A result path, filled in for every run that is pretrained, at its last step."""
    last = PHASES[-1]["until_step"]
    return [pattern.format(run=run, step=last) for run in pretrained_runs()]


def shown(run):
    """What figures call a run, given as its path prefix."""
    return Path(run).name or "main"


def sampling():
    """How often pretraining draws each language: the keys that decide it."""
    keys = ("sampling_exponent", "sampling_temperature", "sampling_ratios")
    return {key: PRETRAINING[key] for key in keys}


def ticket_runs():
    """The runs that have a ticket of their own."""
    used = map(ticket_of, pretrained_runs())
    return list(dict.fromkeys(run for run in used if run is not None))


def methods_of(picture):
    """The methods of a picture of scores of the main run's model: those that runs use, or those of the bake-off."""
    used = {settings_of(run)["saliency"] for run in ticket_runs() if not initial_of(run)}
    return BAKE_OFF if picture == "bake_off" else [m for m in SCORED if m in used]


def figures():
    """The tables and figures that this configuration can have."""
    pretrained = pretrained_runs()
    measured = config["pretraining"]["conflict"]["mode"] != "none"
    conflict = pretrained and measured
    wanted = {
        "stages.svg": True,
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
    """The figures that set languages and runs side by side."""
    tasks = [task for task, langs in config["zero_shot"].items() if langs]
    compared = [task for task, langs in config["evaluate"].items() if langs]
    return [
        *expand("<results>/zero_shot/{task}.svg", task=tasks),
        *expand("<results>/compare/{task}.svg", task=compared if config["variants"] else []),
    ]


def subnetwork_figures():
    """The figures of sub-networks, where the configuration names some."""
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
