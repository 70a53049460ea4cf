"""Inputs, parameters and resources of the rules in tasks.smk."""

from os.path import exists, getsize

from polyticket.config.completion import finetuning_of
from polyticket.config.job_sizes import minutes
from polyticket.config.places import is_shared, task_place
from polyticket.core.errors import PolyticketError, at_key
from polyticket.core.files import visible_files
from polyticket.model.hub import is_local, located
from polyticket.tasks.table import TASKS
from polyticket.tasks.data.files import require_own, source_files


def baselines():
    """The baselines of each task and language that `evaluate` names, for tasks that have one."""
    return [
        f"<results>/baseline/{task}/{lang}.json"
        for task, langs in config["evaluate"].items()
        if has_baseline(task)
        for lang in langs
    ]


RUN_KEYS = (
    "mask_method",
    "remain_ratio",
    "saliency",
    "finetune_from",
    "prune_model",
    "model",
    "ticket",
)
SEEDS = config["finetuning"]["seeds"] or [config["seed"]]
MASKING = ("mask_method", "mask_language")
NOT_OPTIONS = ("seeds", "keep_models", "per_task")


def task_source(wildcards):
    """The place of a language's examples, a path or a Hugging Face dataset; null for the run's own corpus."""
    try:
        return task_place(config, wildcards.task, wildcards.lang)
    except PolyticketError as error:
        stop(error)


def task_files(wildcards):
    """The files of a language's examples that are on disk."""
    source = task_source(wildcards)
    if source is None:
        return "<results>/corpus/{lang}/sentences.txt"
    splits = config["task_data"]["splits"].get(wildcards.task, {})
    if is_predicted_alone(wildcards):
        splits = dict.fromkeys(("train", "dev", "test"), splits.get("test", "test"))
    task, lang = wildcards.task, wildcards.lang
    try:
        with at_key(f"data.{task}"):
            files = source_files(source, TASKS[task], lang, splits=splits)
        if is_shared(config, task):
            require_own(files, lang, where=f"config data.{task}")
    except PolyticketError as error:
        stop(error)
    return files


def is_predicted_alone(wildcards):
    """Whether a language is only predicted in a task, so that it needs no more than a test split."""
    task, lang = wildcards.task, wildcards.lang
    trained = [config[key][task] for key in ("evaluate", "zero_shot")]
    return lang in config["predict_also"][task] and not any(lang in langs for langs in trained)


def task_corpus_checked(wildcards):
    """The check of a language's text, where examples come from the run's corpus."""
    own = task_source(wildcards) is None
    return ancient("<results>/corpus/{lang}/checked.json") if own else []


def model_of(wildcards):
    """The model that a run fine-tunes."""
    if (source := finetuned_source(wildcards)) is not None:
        return {"model": given_files(source)}
    return {"model": f"<results>/{pretraining_of(wildcards.run)}model"}


def given_files(source):
    """The files of a model folder; none of a Hugging Face name."""
    return [str(path) for _, path in visible_files(source)] if is_local(source) else []


def run_settings(wildcards):
    """The settings in which runs differ; those of a given model's pretraining are unknown."""
    found = {key: settings_of(wildcards.run)[key] for key in RUN_KEYS}
    given = found["finetune_from"] is not None
    found["pretraining_mask_method"] = found["mask_method"]
    own = (
        *("mask_method", "pretraining_mask_method", "remain_ratio", "saliency"),
        *("model", "ticket"),
    )
    unknown = own if given else ()
    return {**found, **dict.fromkeys(unknown)}


def subject_of(wildcards):
    """The model that a run fine-tunes, and what it was made of."""
    if settings_of(wildcards.run)["finetune_from"] is not None:
        return model_of(wildcards)
    run = pretraining_of(wildcards.run)
    ticket = {"ticket": ticket_file(wildcards)} if ticket_of(run) is not None else {}
    receipt = f"<results>/{run}pretraining/phase_{len(PHASES)}.json"
    return {**model_of(wildcards), "checkpoint": receipt, **ticket}


def finetuned_source(wildcards):
    """The folder or Hugging Face name of a model that is given; null for the run's own."""
    source, variant = settings_of(wildcards.run)["finetune_from"], wildcards.run[:-1]
    parts = variant.split("/")
    own = variant and "finetune_from" in config["variants"][parts[1]]
    key = ".".join([*parts, "finetune_from"]) if own else "finetune_from"
    return None if source is None else model_place(source, key)


def model_place(source, key):
    """A folder or Hugging Face name, with environment variables filled in; a folder must hold a model."""
    place = placed_or_stop(source, key)
    try:
        with at_key(key):
            return str(located(place)) if is_local(place) else place
    except PolyticketError as error:
        stop(error)


def finetuning_options(wildcards):
    """The fine-tuning options of a task without those of masks."""
    found = finetuning_keys(wildcards)
    return {key: value for key, value in found.items() if key not in MASKING}


def finetuning_masks(wildcards):
    """At which sites fine-tuning masks, and by whose masks; null: as in pretraining, each language by its own."""
    return {key: finetuning_keys(wildcards)[key] for key in MASKING}


def finetuning_keys(wildcards):
    """The general keys of fine-tuning, those of the task in their place, and those of the variant in theirs."""
    variant = wildcards.get("run", "").split("/")[1:2]
    found = finetuning_of(config, variant[0] if variant else None, wildcards.task)
    return {key: value for key, value in found.items() if key not in NOT_OPTIONS}


def tuned_output():
    """The further output of fine-tuning where models are kept."""
    path = "<results>/{run}{task}/{lang}/seed_{seed}.safetensors"
    return {"tuned": path} if config["finetuning"]["keep_models"] else {}


def has_baseline(task):
    """Whether a task has a baseline."""
    return bool(TASKS[task].labels)


def finetuning_mb(wildcards, input):
    """Memory to fine-tune the model of a run: more for longer windows, larger batches and more examples."""
    size = model_size(wildcards.run, finetuned_source(wildcards))
    return training_mb(size, wildcards.task, finetuning_options(wildcards), input)


def training_mb(size, task, options, input):
    """Memory for weights, gradients, two moments, the best step's weights, activations of a batch, and examples."""
    batch, length = options["batch_size"], options["max_seq_length"]
    step = size.activation_mb(
        batch,
        length,
        predictions=round(batch * length * predicted_share(task, options)),
    )
    evaluated = size.reading_mb(options["eval_batch_size"], length)
    return 2000 + 8 * size.parameter_mb() + max(step, evaluated) + examples_mb(input)


def examples_mb(input):
    """Memory for examples and windows."""
    found = [path for path in input if path.endswith(".arrow") and exists(path)]
    return 8 * sum(map(getsize, found)) // 2**20


def finetuning_minutes(wildcards, input):
    """Minutes to fine-tune: all epochs or `adaptive_least_seen` examples, and evaluations on dev and test."""
    options, size = (
        finetuning_options(wildcards),
        model_size(wildcards.run, finetuned_source(wildcards)),
    )
    length, train = options["max_seq_length"], tokens_of(input, "train")
    if options["max_train_examples"] is not None:
        train = min(train, options["max_train_examples"] * length)
    batch = options["batch_size"] * options["accumulation"] * length
    seen = max(options["epochs"] * train, options["adaptive_least_seen"] * length)
    if options["max_steps"] is not None:
        seen = options["max_steps"] * batch
    evaluations = 2 + seen / batch / options["save_steps"]
    return training_minutes(size, wildcards.task, options, seen + evaluations * tokens_of(input, "dev") / 3)


def training_minutes(size, task, options, tokens, most=12 * 60):
    """Minutes to train a task on a number of tokens."""
    length, share = options["max_seq_length"], predicted_share(task, options)
    operations = size.training_operations(tokens, length, predicted_share=share)
    return minutes(
        operations,
        threads=config["threads"]["finetuning"],
        accelerated=False,
        most=most,
    )


def tokens_of(input, split):
    """How many tokens the examples of a split have at most, at three bytes each; none before they are there."""
    given = input.get(split, [])
    paths = [given] if isinstance(given, str) else given
    return sum(getsize(path) for path in paths if exists(path)) / 3
