"""Data of tasks, <results>/model -> <results>/{task}, <results>/report/scores.csv: fine-tuning and scores."""


include: "functions/tasks.smk"


rule load_task:
    """Read a language's examples from any known layout, and count duplicates."""
    input:
        source=task_files,
        checked=task_corpus_checked,
    output:
        train="<results>/tasks/{task}/{lang}/train.arrow",
        dev="<results>/tasks/{task}/{lang}/dev.arrow",
        test="<results>/tasks/{task}/{lang}/test.arrow",
        about="<results>/tasks/{task}/{lang}/data.json",
    log:
        "<logs>/load_task/{task}.{lang}.log",
    benchmark:
        "<benchmarks>/load_task/{task}.{lang}.tsv"
    group:
        "tasks"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(mem_for_input(factor=8, base_mb=2000)),
        runtime=120,
        disk_mb=disk_for_input(4),
    params:
        source=task_source,
        splits=lambda wildcards: config["task_data"]["splits"].get(wildcards.task, {}),
        labels=lambda wildcards: config["task_data"]["labels"].get(wildcards.task),
        drop_duplicates=config["task_data"]["drop_duplicates"],
        most=config["task_data"]["max_examples"],
        dev_share=config["task_data"]["dev_share"],
        test_alone=is_predicted_alone,
        seed=config["seed"],
        code=code_of("load_task"),
    script:
        "../scripts/load_task.py"


rule finetune_task:
    """Fine-tune with the language's mask, and score the best step by dev on test."""
    input:
        unpack(subject_of),
        train="<results>/tasks/{task}/{lang}/train.arrow",
        dev="<results>/tasks/{task}/{lang}/dev.arrow",
        test="<results>/tasks/{task}/{lang}/test.arrow",
        about="<results>/tasks/{task}/{lang}/data.json",
    output:
        **tuned_output(),
        result="<results>/{run}{task}/{lang}/seed_{seed}.json",
        curve="<results>/{run}{task}/{lang}/seed_{seed}.curve.csv",
        predictions="<results>/{run}predictions/seed_{seed}/{task}/test-{lang}.tsv",
        dev_predictions="<results>/{run}predictions/seed_{seed}/{task}/dev-{lang}.tsv",
    log:
        "<logs>/{run}finetune_task/{task}.{lang}.{seed}.log",
    benchmark:
        "<benchmarks>/{run}finetune_task/{task}.{lang}.{seed}.tsv"
    priority: 1  # others wait for it
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=growing(finetuning_mb),
        runtime=finetuning_minutes,
        unknown_words=UNKNOWN_WORDS,
        disk_mb=disk_for_input(3),
        gpu=gpus("finetuning"),
    params:
        source=finetuned_source,
        options=finetuning_options,
        masking=finetuning_masks,
        compute_threads=config["threads"]["finetuning"],
        run=run_settings,
        code=code_of("finetune_task"),
    script:
        "../scripts/finetune_task.py"


rule summarize_seeds:
    """Average the scores of a task and language over seeds, with standard deviations."""
    input:
        results=expand("<results>/{{run}}{{task}}/{{lang}}/seed_{seed}.json", seed=SEEDS),
    output:
        result=report(
            "<results>/{run}{task}/{lang}.json",
            caption="../report/result.rst",
            category="Scores",
            labels={"run": "{run}", "task": "{task}", "language": "{lang}"},
        ),
    log:
        "<logs>/{run}summarize_seeds/{task}.{lang}.log",
    benchmark:
        "<benchmarks>/{run}summarize_seeds/{task}.{lang}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("summarize_seeds"),
    script:
        "../scripts/summarize_seeds.py"


rule score_baseline:
    """Score the baseline: always predicting the most frequent tag or label."""
    input:
        train="<results>/tasks/{task}/{lang}/train.arrow",
        dev="<results>/tasks/{task}/{lang}/dev.arrow",
        test="<results>/tasks/{task}/{lang}/test.arrow",
    output:
        result="<results>/baseline/{task}/{lang}.json",
    log:
        "<logs>/score_baseline/{task}.{lang}.log",
    benchmark:
        "<benchmarks>/score_baseline/{task}.{lang}.tsv"
    group:
        "tasks"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
        disk_mb=disk_for_input(2),
    params:
        code=code_of("score_baseline"),
    script:
        "../scripts/score_baseline.py"


rule tabulate_scores:
    """Tabulate the scores of every run, task and language beside the baseline, and those of each class."""
    input:
        results=scored("<results>/{run}{task}/{lang}.json"),
        baselines=baselines(),
    output:
        table=report(
            "<results>/report/scores.csv",
            caption="../report/scores_table.rst",
            category="Summary",
            labels={"shows": "scores", "form": "CSV file"},
        ),
        page=report(
            "<results>/report/scores.html",
            caption="../report/scores_table.rst",
            category="Summary",
            labels={"shows": "scores", "form": "table"},
        ),
        classes=report(
            "<results>/report/classes.csv",
            caption="../report/classes.rst",
            category="Summary",
            labels={"shows": "scores by class", "form": "CSV file"},
        ),
        class_page=report(
            "<results>/report/classes.html",
            caption="../report/classes.rst",
            category="Summary",
            labels={"shows": "scores by class", "form": "table"},
        ),
    log:
        "<logs>/tabulate_scores.log",
    benchmark:
        "<benchmarks>/tabulate_scores.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in scored("{run}")],
        code=code_of("tabulate_scores"),
    script:
        "../scripts/tabulate_scores.py"


rule plot_scores:
    """Draw the scores on test as bars."""
    input:
        table="<results>/report/scores.csv",
    output:
        figure=report(
            "<results>/report/scores.svg",
            caption="../report/scores.rst",
            category="Summary",
            labels={"shows": "scores", "form": "figure"},
        ),
    log:
        "<logs>/plot_scores.log",
    benchmark:
        "<benchmarks>/plot_scores.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_scores"),
    script:
        "../scripts/plot_scores.py"
