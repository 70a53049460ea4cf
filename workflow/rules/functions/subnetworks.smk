"""Inputs, parameters and resources of the rules in subnetworks.smk."""

from polyticket.core.errors import PolyticketError
from polyticket.model.hub import model_type
from polyticket.pruning.levels import schedule
from polyticket.pruning.mask_sources import CONTROLS, FOUND, NAMED, REINITIALIZED, known_mask_source
from polyticket.pruning.settings import check_kind, check_pooling, members_of, transferred
from polyticket.tasks.table import TASKS

SUBNETWORKS = config["subnetworks"]
SUBNETWORK_SEEDS = SUBNETWORKS["seeds"] or SEEDS
LEVELS = schedule(SUBNETWORKS["levels"], step=SUBNETWORKS["step"], step_of=SUBNETWORKS["step_of"])
SPARSITIES = [level.sparsity for level in LEVELS[1:]]
TRANSFERRED = [f"{percent:.10g}" for percent in transferred(SUBNETWORKS)]
MASK_SOURCES = SUBNETWORKS["mask_sources"]


wildcard_constraints:
    search=rf"(?:(?:{'|'.join(CONTROLS)})/)?(?:seed_\d+/)?",
    source="|".join([*config["languages"], *SUBNETWORKS["mixes"]]),
    sparsity=r"\d+(?:\.\d+)?",
    mask_source=rf"(?:{'|'.join(['full', *MASK_SOURCES])}|[a-z]+(?:-[a-z0-9_-]+)?-[\d.]+)(?:-reinitialized)?",
    name="|".join(MASK_SOURCES) or "(?!)",
    compared="subnetworks|tickets",


def subnetwork_source(wildcards):
    """The directory or Hugging Face name of the model that is pruned; null for the run's own model."""
    key = "subnetworks.model" if SUBNETWORKS["model"] else "finetune_from"
    source = SUBNETWORKS["model"] or config["finetune_from"]
    return None if source is None else model_place(source, key)


def subnetwork_kind():
    """The kind of model that is pruned; null if only the job can read it, as with a Hugging Face name."""
    source = subnetwork_source(None)
    return "bert" if source is None else model_type(source)


try:
    if any(SUBNETWORKS["find"].values()):
        check_kind(SUBNETWORKS["find"], subnetwork_kind())
    if SUBNETWORKS["retrieval"]["parallel"]:
        check_pooling(SUBNETWORKS["retrieval"]["pooling"], subnetwork_kind())
except PolyticketError as error:
    stop(error)


def setting_of(key, task):
    """A key of `subnetworks` for a task: its override, or the general value."""
    return SUBNETWORKS["per_task"].get(task, {}).get(key, SUBNETWORKS[key])


def search_steps(wildcards):
    """Updates in each round of a search."""
    return setting_of("steps_per_round", wildcards.task)


def subnetwork_options(wildcards):
    """The fine-tuning options of a task, without those that decide when to stop: rounds have a fixed number of steps."""
    ending = ("epochs", "adaptive_least_seen", "max_steps", "save_steps", "patience")
    return {k: v for k, v in finetuning_options(wildcards).items() if k not in ending}


def subnetwork_subject(wildcards):
    """The input `model`: the files of the model that is pruned."""
    source = subnetwork_source(wildcards)
    return {"model": "<results>/model" if source is None else given_files(source)}


def source_splits(wildcards):
    """The examples of a language, or of all languages of a mix, by split."""
    langs = SUBNETWORKS["mixes"].get(wildcards.source, [wildcards.source])
    return {
        split: [f"<results>/tasks/{wildcards.task}/{lang}/{split}.arrow" for lang in langs]
        for split in ("train", "dev", "test")
    }


def search_options(wildcards):
    """The options of a search."""
    keys = (
        *("lr_decay_over", "levels", "step", "step_of"),
        *("rewind_head", "joint_pool"),
    )
    control = wildcards.search.split("/")[0]
    reinitialized = control == REINITIALIZED
    return {
        **{key: SUBNETWORKS[key] for key in keys},
        "steps_per_round": search_steps(wildcards),
        "pruning": control if control in CONTROLS and not reinitialized else "magnitude",
        "weights": "random" if reinitialized else "pretrained",
    }


def search_seed(wildcards):
    """The seed in the path of a search, or the first seed."""
    named = wildcards.search.rpartition("seed_")[2].rstrip("/")
    return int(named) if named.isdecimal() else SUBNETWORK_SEEDS[0]


def seed_part(seed):
    """The directory of a seed in the path of a search: none for the first seed."""
    return "" if int(seed) == SUBNETWORK_SEEDS[0] else f"seed_{seed}/"


def subnetwork_file(mask_source, seed):
    """The mask file of a mask source such as `panx-fr-50`, found with a seed; empty for those that need no search."""
    sources = [*config["languages"], *SUBNETWORKS["mixes"]]
    try:
        found = known_mask_source(mask_source, tasks=TASKS, sources=sources, levels=SPARSITIES, named=MASK_SOURCES)
    except PolyticketError as error:
        stop(error)
    if found.kind == NAMED:
        return f"<results>/masks/{found.source}/seed_{seed}.safetensors"
    if found.kind != FOUND:
        return []
    control = f"{found.control}/" if found.control else ""
    place = f"{control}{seed_part(seed)}{found.task}/{found.source}"
    return f"<results>/subnetworks/{place}/{found.sparsity}.safetensors"


def masks_of_source(wildcards):
    """The file of a named mask source, or the mask files that it combines, found with the same seed."""
    source, key = (
        MASK_SOURCES[wildcards.name],
        f"subnetworks.mask_sources.{wildcards.name}",
    )
    if "file" in source:
        path = placed_or_stop(source["file"], key)
        return [present_or_stop(path, key, "the file of a mask")]
    return [subnetwork_file(name, wildcards.seed) for name in members_of(source)]


def subnetwork_mb(options_of):
    """A resource function: the memory to train under masks, with the options that `options_of(wildcards)` gives."""

    def asked(wildcards, input):
        size, options = model_size("", subnetwork_source(wildcards)), options_of(wildcards)
        trained = training_mb(size, wildcards.task, options, input)
        return 2 * size.parameter_mb() + trained

    return asked


def masks_mb_of_model(wildcards):
    """Memory for the weights of a model, and masks of them as float32 and as bits."""
    return 2000 + 4 * model_size("", subnetwork_source(wildcards)).parameter_mb()


def subnetwork_minutes(steps_of, options_of, rounds=1, most=12 * 60):
    """A resource function: the minutes for rounds of training under masks, by steps and options of the wildcards."""

    def asked(wildcards, input):
        options = options_of(wildcards)
        size = model_size("", subnetwork_source(wildcards))
        batch = options["batch_size"] * options["accumulation"]
        length = options["max_seq_length"]
        steps = rounds * steps_of(wildcards)
        seen = steps * batch * length + rounds * tokens_of(input, "dev")
        return training_minutes(size, wildcards.task, options, seen, most=most)

    return asked
