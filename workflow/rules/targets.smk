"""What a run is asked for: the results that `evaluate` names, and the figures that its configuration can have."""


def scored(pattern):
    """A result path, filled in for every run, task and language that `evaluate` names."""
    return [
        pattern.format(run=run, task=task, lang=lang)
        for run in runs()
        for task, langs in config["evaluate"].items()
        for lang in langs
    ]


def at_phase_ends(pattern):
    """A result path, filled in for every run and phase of pretraining."""
    return [
        pattern.format(run=run, phase=number)
        for run in runs()
        for number in range(1, len(PHASES) + 1)
    ]


def at_last_step(pattern):
    """A result path, filled in for every run, at the last step of pretraining."""
    last = PHASES[-1]["until_step"]
    return [pattern.format(run=run, step=last) for run in runs()]


def shown(run):
    """What figures call a run, given as its path prefix."""
    return Path(run).name or "main"


def sampling():
    """How often pretraining draws each language: the keys that decide it."""
    keys = ("sampling_exponent", "sampling_temperature", "sampling_ratios")
    return {key: config["pretraining"][key] for key in keys}


def ticket_runs():
    """The runs that have a ticket."""
    return [run for run in runs() if settings_of(run)["mask_method"] == "linear"]


def methods_of(picture):
    """The methods of a picture of scores: those that runs use, or those of the bake-off."""
    used = {settings_of(run)["saliency"] for run in ticket_runs()}
    return BAKE_OFF if picture == "bake_off" else [m for m in SCORED if m in used]


def figures():
    """The tables and figures that this configuration can have."""
    conflict = config["pretraining"]["conflict"]["mode"] != "none"
    wanted = {
        "stages.svg": True,
        "ledger.csv": True,
        "ledger.svg": True,
        "corpus.svg": True,
        "losses.svg": True,
        "held_out.svg": config["records"]["held_out_share"],
        "conflict.svg": conflict,
        "conflict_updates.svg": conflict,
        "conflict_gradients.svg": conflict,
        "density.svg": ticket_runs(),
        "saliency.svg": methods_of("saliency"),
        "similarity.svg": ticket_runs(),
        "scores.svg": scored("{lang}"),
        "scores.csv": scored("{lang}"),
    }
    return [f"<results>/report/{name}" for name, sources in wanted.items() if sources]
