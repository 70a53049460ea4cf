"""Inputs, parameters and resources of the rules in pretraining.smk."""

from dataclasses import replace

from polyticket.config.job_sizes import minutes
from polyticket.conflict.settings import Settings, values_per_language
from polyticket.pretraining.plan import default_languages_per_step

STORE = placed_or_stop(config["store"], "store")
STORE_RULES = ("upload_checkpoint", "pretrain_phase", "score_held_out", "convert_model")


def require_store(jobs):
    """End the run with one line if its jobs need the store and it does not open: no credentials, no such bucket."""
    if workflow.touch or not any(job.rule.name in STORE_RULES for job in jobs):
        return
    try:
        from polyticket.store.base import open_store

        open_store(STORE)
    except PolyticketError as error:
        stop(error)
    except ModuleNotFoundError as error:  # Snakemake may run without the packages that its jobs have
        logger.warning(f"The store is not opened before the first job: {error.name} is not installed here.")


def at_phase_ends(pattern):
    """A result path, filled in for every run that is pretrained, and every phase."""
    return [pattern.format(run=run, phase=number) for run in pretrained_runs() for number in range(1, len(PHASES) + 1)]


def ticket_file(wildcards):
    """The ticket that a run uses; a run that multiplies by a constant needs none."""
    run = ticket_of(wildcards.run)
    return [] if run is None else f"<results>/{run}ticket.safetensors"


def checkpoint_before(wildcards):
    """The receipt of what a phase starts from: the uploaded initial checkpoint, or the phase before."""
    before = int(wildcards.phase) - 1
    return (
        f"<results>/{wildcards.run}pretraining/phase_{before}.json"
        if before
        else f"<results>/{wildcards.run}upload.json"
    )


def trace_output():
    """The further output of a phase where conflict is measured."""
    measured = config["pretraining"]["conflict"]["mode"] != "none"
    return {"conflict": "<results>/{run}pretraining/phase_{phase}.conflict.npz"} if measured else {}


def is_spread():
    """Whether pretraining is on GPUs or a TPU by its configuration; they hold what a step computes."""
    return config["pretraining"]["distribution"] != "default"


def pretraining_mb(wildcards):
    """Memory to pretrain: weights, optimiser, gradients, a checkpoint, activations of a step, and sums of conflict."""
    phase, options = phase_of(wildcards), config["pretraining"]
    batch = -(-options["batch_size"] // (step_parts() * options["accumulation"]))
    size = size_of(wildcards)
    step = size.activation_mb(batch, phase["max_seq_length"], predictions=batch * phase["max_predictions"])
    return 3000 + 12 * size.parameter_mb() + 2 * masks_mb(size) + conflict_mb(size) + (0 if is_spread() else step)


def pretraining_disk_mb(wildcards, input):
    """MB of disk for the records, and for two checkpoints with both moments of the optimiser."""
    return int(1000 + size_mb(input) + 6 * size_of(wildcards).parameter_mb())


def pretraining_minutes(wildcards):
    """Minutes for the steps of a phase."""
    phase, index = phase_of(wildcards), int(wildcards.phase) - 1
    steps = phase["until_step"] - (PHASES[index - 1]["until_step"] if index else 0)
    length = phase["max_seq_length"]
    operations = size_of(wildcards).training_operations(
        steps * config["pretraining"]["batch_size"] * length,
        length,
        predicted_share=phase["max_predictions"] / length,
    )
    return minutes(
        operations,
        threads=config["threads"]["pretraining"],
        accelerated=is_spread(),
        most=7 * 24 * 60,
        least=60,
    )


def held_out_mb(wildcards):
    """Memory to score held-out records: a checkpoint with its optimiser, and what a batch computes in a layer."""
    phase, size = phase_of(wildcards), size_of(wildcards)
    batch = max(1, min(64, 2**26 // (phase["max_predictions"] * size.vocab_size)))
    computed = size.reading_mb(batch, phase["max_seq_length"], predictions=batch * phase["max_predictions"])
    return 3000 + 8 * size.parameter_mb() + 2 * masks_mb(size) + computed


def held_out_minutes(wildcards):
    """Minutes to score the held-out records of all languages."""
    length = phase_of(wildcards)["max_seq_length"]
    records = len(config["languages"]) * config["pretraining"]["held_out_instances"]
    operations = size_of(wildcards).training_operations(records * length / 3, length)
    return minutes(
        operations,
        threads=config["threads"]["pretraining"],
        accelerated=False,
        most=24 * 60,
    )


def conflict_mb(size):
    """MB where conflict is measured: of the sums per language as they are added and read, and of parts' gradients."""
    conflict = Settings.of(config["pretraining"]["conflict"])
    sizes = (size.num_hidden_layers, size.hidden_size, size.intermediate_size)
    values = values_per_language(conflict, *sizes)
    parts = step_parts()
    kept = parts * values_per_language(replace(conflict, mode="exact"), *sizes)
    kept = kept if parts > 1 and values else 0
    return 4 * (10 * len(config["languages"]) * values + kept) // 2**20


def step_parts():
    """Languages per step."""
    options = config["pretraining"]
    return options["languages_per_step"] or default_languages_per_step(options["batch_size"])
