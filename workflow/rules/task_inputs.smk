"""Where the inputs of tasks are: examples, the model that is fine-tuned, and the runs that are compared."""

from polyticket.model.hub import is_place
from polyticket.tasks.sources.places import source_files

RUN_KEYS = (
    "mask_method",
    "remain_ratio",
    "saliency",
    "finetune_from",
    "prune_model",
)
SEEDS = config["finetuning"]["seeds"] or [config["seed"]]
NOT_OPTIONS = ("seeds", "keep_models", "per_task")


def task_source(wildcards):
    """The place of a language's examples, a path or a Hugging Face dataset; null for the run's own corpus."""
    task, lang = wildcards.task, wildcards.lang
    source = config["data"][task]
    if isinstance(source, dict):
        source = source.get(lang)
    if source is None and task == "mlm":
        return None
    if source is None:
        stop(
            PolyticketError(
                f"no place for {lang!r}",
                where=f"config data.{task}",
                expected="a folder of its data, or hf://owner/name",
            )
        )
    try:
        return placed(source, key=f"data.{task}", lang=lang)
    except PolyticketError as error:
        stop(error)


def task_files(wildcards):
    """The files of a language's examples that are on disk."""
    source = task_source(wildcards)
    if source is None:
        return "<results>/corpus/{lang}/sentences.txt"
    splits = config["task_data"]["splits"].get(wildcards.task, {})
    try:
        return source_files(
            source, TASKS[wildcards.task], wildcards.lang, splits=splits
        )
    except PolyticketError as error:
        stop(error)


def task_corpus_checked(wildcards):
    """Where examples are those of the run's corpus, that its text is fit."""
    own = task_source(wildcards) is None
    return ancient("<results>/corpus/{lang}/checked.json") if own else []


def model_of(wildcards):
    """The model that a run fine-tunes."""
    if (source := finetuned_source(wildcards)) is not None:
        return {"model": f"{source}/config.json"} if is_place(source) else {}
    return {"model": f"<results>/{pretraining_of(wildcards.run)}model"}


def subject_of(wildcards):
    """The model that a run fine-tunes, and what it was made of."""
    if settings_of(wildcards.run)["finetune_from"] is not None:
        return model_of(wildcards)
    run = pretraining_of(wildcards.run)
    linear = settings_of(run)["mask_method"] == "linear"
    ticket = {"ticket": f"<results>/{run}ticket.safetensors"} if linear else {}
    receipt = f"<results>/{run}pretraining/phase_{len(PHASES)}.json"
    return {**model_of(wildcards), "checkpoint": receipt, **ticket}


def finetuned_source(wildcards):
    """The folder or Hugging Face name of a model that is given; null for the run's own."""
    source = settings_of(wildcards.run)["finetune_from"]
    try:
        return None if source is None else placed(source, key="finetune_from")
    except PolyticketError as error:
        stop(error)


def finetuning_options(wildcards):
    """How a task is fine-tuned: the general options, and those of the task in their place."""
    options = {k: v for k, v in config["finetuning"].items() if k not in NOT_OPTIONS}
    return options | config["finetuning"]["per_task"].get(wildcards.task, {})


def tuned_output():
    """The further output of fine-tuning where models are kept."""
    path = "<results>/{run}{task}/{lang}/seed_{seed}.safetensors"
    return {"tuned": path} if config["finetuning"]["keep_models"] else {}


def zero_shot_languages(task):
    """Between which languages transfer is scored."""
    return config["zero_shot"][task] or config["evaluate"][task]


def zero_shot_tests(wildcards):
    """The test sets of all languages that are predicted."""
    return expand(
        "<results>/tasks/{{task}}/{lang}/test.arrow",
        lang=zero_shot_languages(wildcards.task),
    )


def zero_shot_results(wildcards):
    """Every training language and seed, in order."""
    return expand(
        "<results>/{{run}}zero_shot/{{task}}/{lang}/seed_{seed}.json",
        lang=zero_shot_languages(wildcards.task),
        seed=SEEDS,
    )


def compared_inputs(wildcards):
    """Scores and predictions of all runs in a task, and what was to be predicted."""
    langs, task = config["evaluate"][wildcards.task], wildcards.task
    places = [(run, lang) for run in runs() for lang in langs]
    return {
        "results": [f"<results>/{run}{task}/{lang}.json" for run, lang in places],
        "predictions": [
            f"<results>/{run}predictions/seed_{seed}/{task}/test-{lang}.tsv"
            for run, lang in places
            for seed in SEEDS
        ],
        "examples": [f"<results>/tasks/{task}/{lang}/test.arrow" for lang in langs],
    }


def compared_baselines(wildcards):
    """What each language must beat, for tasks that have such a baseline."""
    langs = config["evaluate"][wildcards.task] if has_baseline(wildcards.task) else []
    return expand("<results>/baseline/{{task}}/{lang}.json", lang=langs)


def has_baseline(task):
    """Whether there is a most frequent answer."""
    return bool(TASKS[task].labels)
