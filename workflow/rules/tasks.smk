"""<results>/model -> <results>/{task}/{lang}.json: fine-tuning and scores."""


rule finetune_task:
    """Fine-tune with the language's mask, keep the best by dev, score on test."""
    input:
        model="<results>/{run}model",
        ticket=ticket_of,
        checkpoint=f"<results>/{{run}}pretraining/phase_{len(PHASES)}.json",
        train=split_of("train"),
        dev=split_of("dev"),
        test=split_of("test"),
    output:
        result=report(
            "<results>/{run}{task}/{lang}.json",
            caption="../report/result.rst",
            category="Scores",
            labels={"run": "{run}", "task": "{task}", "language": "{lang}"},
        ),
        predictions="<results>/{run}{task}/{lang}.test.predictions.txt",
        curve="<results>/{run}{task}/{lang}.curve.csv",
    log:
        "<logs>/{run}finetune_task/{task}.{lang}.log",
    benchmark:
        "<benchmarks>/{run}finetune_task/{task}.{lang}.tsv"
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=3000 + 8 * parameter_mb(),
        runtime=12 * 60,
    params:
        options=config["finetuning"],
        compute_threads=config["threads"]["finetuning"],
        seed=config["seed"],
        run=lambda wildcards: {
            key: settings_of(wildcards.run)[key]
            for key in ("mask_method", "remain_ratio", "saliency")
        },
        code=code_of("finetune_task"),
    script:
        "../scripts/finetune_task.py"


rule score_baseline:
    """What tagging every word with its most frequent tag scores: the least to beat."""
    input:
        train=split_of("train"),
        dev=split_of("dev"),
        test=split_of("test"),
    output:
        result="<results>/baseline/{task}/{lang}.json",
    log:
        "<logs>/score_baseline/{task}.{lang}.log",
    benchmark:
        "<benchmarks>/score_baseline/{task}.{lang}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("score_baseline"),
    script:
        "../scripts/score_baseline.py"
