"""Inputs, parameters and resources of the rules in comparisons.smk."""

from polyticket.core.errors import PolyticketError


def zero_shot_languages(task):
    """The languages between which transfer is scored."""
    return config["zero_shot"][task] or config["evaluate"][task]


def tuned_of(wildcards):
    """The fine-tuned weights, which must be kept."""
    if not config["finetuning"]["keep_models"]:
        stop(
            PolyticketError(
                "false",
                where="config finetuning.keep_models",
                expected="true, for zero-shot transfer",
            )
        )
    return "<results>/{run}{task}/{lang}/seed_{seed}.safetensors"


def zero_shot_targets(task):
    """All languages that are predicted."""
    return list(dict.fromkeys([*zero_shot_languages(task), *config["predict_also"][task]]))


def zero_shot_tests(wildcards):
    """The test sets of all languages that are predicted."""
    return expand(
        "<results>/tasks/{{task}}/{lang}/test.arrow",
        lang=zero_shot_targets(wildcards.task),
    )


def zero_shot_matrices(wildcards):
    """The matrix of every run that is scored on the task."""
    return [f"<results>/{run}zero_shot/{wildcards.task}.json" for run in runs_of(wildcards.task)]


def zero_shot_results(wildcards):
    """Every training language and seed, in order."""
    return expand(
        "<results>/{{run}}zero_shot/{{task}}/{lang}/seed_{seed}.json",
        lang=zero_shot_languages(wildcards.task),
        seed=SEEDS,
    )


def compared_inputs(wildcards):
    """Scores and predictions of all runs in a task, and the test examples."""
    langs, task = config["evaluate"][wildcards.task], wildcards.task
    places = [(run, lang) for run in runs_of(task) for lang in langs]
    return {
        "results": [f"<results>/{run}{task}/{lang}.json" for run, lang in places],
        "predictions": [
            f"<results>/{run}predictions/seed_{seed}/{task}/test-{lang}.tsv" for run, lang in places for seed in SEEDS
        ],
        "examples": [f"<results>/tasks/{task}/{lang}/test.arrow" for lang in langs],
    }


def compared_baselines(wildcards):
    """The baseline of each language, for tasks that have one."""
    langs = config["evaluate"][wildcards.task] if has_baseline(wildcards.task) else []
    return expand("<results>/baseline/{{task}}/{lang}.json", lang=langs)
