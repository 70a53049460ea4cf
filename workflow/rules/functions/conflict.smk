"""Inputs, parameters and resources of the rules in conflict.smk."""

from polyticket.conflict.settings import measured_phase
from polyticket.core.errors import PolyticketError


def conflict_trace(wildcards):
    """What was measured of conflict up to the end of the phase in which a step falls."""
    try:
        phase = measured_phase(config["pretraining"], int(wildcards.step))
    except PolyticketError as error:
        stop(error)
    return f"<results>/{wildcards.run}pretraining/phase_{phase}.conflict.npz"


def at_last_step(pattern):
    """A result path, filled in for every run that is pretrained, at its last step."""
    last = PHASES[-1]["until_step"]
    return [pattern.format(run=run, step=last) for run in pretrained_runs()]
