"""Inputs, parameters and resources of the rules in saliency.smk."""

from polyticket.config.job_sizes import minutes
from polyticket.saliency.methods import METHODS
from polyticket.tasks.table import TASKS

SCORED = [name for name, method in METHODS.items() if method.reads != "nothing"]
BAKE_OFF = config["saliency_options"]["bake_off"]
SALIENCY_OPTIONS = {key: value for key, value in config["saliency_options"].items() if key != "bake_off"}


def language_index(wildcards):
    """The row of a language in every mask."""
    return config["languages"].index(wildcards.lang)


def ticket_runs():
    """The runs that have a ticket of their own."""
    used = map(ticket_of, pretrained_runs())
    return list(dict.fromkeys(run for run in used if run is not None))


def methods_of(picture):
    """The methods of a picture of scores of the main run's model: those that runs use, or those of the bake-off."""
    used = {settings_of(run)["saliency"] for run in ticket_runs() if not initial_of(run)}
    return BAKE_OFF if picture == "bake_off" else [m for m in SCORED if m in used]


def saliency_mb(wildcards):
    """Memory to score a language: weights, gradients and sums, and what batches leave for the backward pass."""
    phase, options, size = PHASES[0], SALIENCY_OPTIONS, size_of(wildcards)
    at_once = options["batches_at_once"] if options["batches_at_once"] != "auto" else 1
    batch = at_once * options["batch_size"]
    return (
        2000
        + 8 * size.parameter_mb()
        + size.activation_mb(
            batch,
            phase["max_seq_length"],
            predictions=batch * phase["max_predictions"],
        )
    )


def saliency_minutes(passes):
    """A resource function: minutes to score a language in a number of passes over its batches."""

    def asked(wildcards):
        phase = PHASES[0]
        operations = passes * size_of(wildcards).training_operations(
            SALIENCY_OPTIONS["token_budget"],
            phase["max_seq_length"],
            predicted_share=phase["max_predictions"] / phase["max_seq_length"],
        )
        return minutes(
            operations,
            threads=config["threads"]["saliency"],
            accelerated=False,
            most=24 * 60,
        )

    return asked


def predicted_share(task, options):
    """The share of tokens that a task predicts among the whole vocabulary: masked ones."""
    return options["mlm_probability"] if TASKS[task].of_corpus else 0
