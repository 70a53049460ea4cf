"""<results>/{task} -> <results>/zero_shot, <results>/compare: transfer between languages, and runs side by side."""


include: "functions/comparisons.smk"


rule score_zero_shot:
    """Score a fine-tuned model on the test sets of other languages, each with its own mask or `mask_language`'s."""
    input:
        unpack(model_of),
        tuned=tuned_of,
        tests=zero_shot_tests,
    output:
        result="<results>/{run}zero_shot/{task}/{lang}/seed_{seed}.json",
        predictions=directory("<results>/{run}zero_shot/predictions/{lang}/seed_{seed}/{task}"),
    log:
        "<logs>/{run}score_zero_shot/{task}.{lang}.{seed}.log",
    benchmark:
        "<benchmarks>/{run}score_zero_shot/{task}.{lang}.{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=growing(finetuning_mb),
        runtime=120,
        unknown_words=UNKNOWN_WORDS,
        disk_mb=disk_for_input(2),
        gpu=gpus("finetuning"),
    params:
        source=finetuned_source,
        targets=lambda wildcards: zero_shot_targets(wildcards.task),
        options=finetuning_options,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("score_zero_shot"),
    script:
        "../scripts/score_zero_shot.py"


rule tabulate_zero_shot:
    """Collect the scores of zero-shot transfer: a row per training language, a column per test language."""
    input:
        results=zero_shot_results,
    output:
        matrix="<results>/{run}zero_shot/{task}.json",
        table="<results>/{run}zero_shot/{task}.csv",
    log:
        "<logs>/{run}tabulate_zero_shot/{task}.log",
    benchmark:
        "<benchmarks>/{run}tabulate_zero_shot/{task}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("tabulate_zero_shot"),
    script:
        "../scripts/tabulate_zero_shot.py"


rule plot_zero_shot:
    """Draw the matrix of zero-shot transfer of every run as a heat map."""
    input:
        matrices=zero_shot_matrices,
    output:
        figure=report(
            "<results>/zero_shot/{task}.svg",
            caption="../report/zero_shot.rst",
            category="Comparisons",
            labels={"shows": "zero-shot transfer", "task": "{task}"},
        ),
    log:
        "<logs>/plot_zero_shot/{task}.log",
    benchmark:
        "<benchmarks>/plot_zero_shot/{task}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=lambda wildcards: [shown(run) for run in runs_of(wildcards.task)],
        code=code_of("plot_zero_shot"),
    script:
        "../scripts/plot_zero_shot.py"


rule compare_runs:
    """Compare all runs, languages as rows, each variant with the main run by a paired bootstrap, Holm-corrected."""
    input:
        unpack(compared_inputs),
    output:
        table="<results>/compare/{task}.json",
        csv="<results>/compare/{task}.csv",
    log:
        "<logs>/compare_runs/{task}.log",
    benchmark:
        "<benchmarks>/compare_runs/{task}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
        disk_mb=disk_for_input(2),
    params:
        runs=lambda wildcards: [shown(run) for run in runs_of(wildcards.task)],
        langs=lambda wildcards: config["evaluate"][wildcards.task],
        seeds=SEEDS,
        seed=config["seed"],
        code=code_of("compare_runs"),
    script:
        "../scripts/compare_runs.py"


rule plot_comparison:
    """Draw the scores of all runs, a row per language."""
    input:
        table="<results>/compare/{task}.json",
        baselines=compared_baselines,
    output:
        figure=report(
            "<results>/compare/{task}.svg",
            caption="../report/comparison.rst",
            category="Comparisons",
            labels={"shows": "runs side by side", "task": "{task}"},
        ),
    log:
        "<logs>/plot_comparison/{task}.log",
    benchmark:
        "<benchmarks>/plot_comparison/{task}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_comparison"),
    script:
        "../scripts/plot_comparison.py"
