"""<results>/subnetworks, <results>/masks -> <results>/transfer, <results>/subnetworks: scores under masks."""

from polyticket.tasks.table import TASKS


include: "functions/transfer.smk"


rule finetune_subnetwork:
    """Fine-tune on a task and language under a mask, from the original weights with a new task head."""
    input:
        unpack(subnetwork_subject),
        unpack(source_splits),
        mask=transferred_mask,
    output:
        result="<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.json",
        predictions="<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.predictions.tsv",
        dev_predictions="<results>/transfer/{task}/{source}/{mask_source}/seed_{seed}.dev_predictions.tsv",
    log:
        "<logs>/finetune_subnetwork/{task}.{source}.{mask_source}.{seed}.log",
    benchmark:
        "<benchmarks>/finetune_subnetwork/{task}.{source}.{mask_source}.{seed}.tsv"
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=growing(subnetwork_mb(transfer_options)),
        runtime=subnetwork_minutes(transfer_steps, transfer_options),
        unknown_words=UNKNOWN_WORDS,
        disk_mb=disk_for_input(3),
        gpu=gpus("finetuning"),
    params:
        source=subnetwork_source,
        steps=transfer_steps,
        joint_pool=SUBNETWORKS["joint_pool"],
        options=transfer_options,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("finetune_subnetwork"),
    script:
        "../scripts/finetune_subnetwork.py"


rule tabulate_transfer:
    """Tabulate transfer: a row per mask source, a column per language."""
    input:
        results=transfer_results,
    output:
        matrix="<results>/transfer/{task}.json",
        table="<results>/transfer/{task}.csv",
    log:
        "<logs>/tabulate_transfer/{task}.log",
    benchmark:
        "<benchmarks>/tabulate_transfer/{task}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("tabulate_transfer"),
    script:
        "../scripts/tabulate_transfer.py"


rule plot_transfer:
    """Draw the transfer table as a heat map."""
    input:
        matrix="<results>/transfer/{task}.json",
    output:
        figure=report(
            "<results>/transfer/{task}.svg",
            caption="../report/transfer.rst",
            category="Sub-networks",
            labels={"shows": "transfer of masks", "task": "{task}"},
        ),
    log:
        "<logs>/plot_transfer/{task}.log",
    benchmark:
        "<benchmarks>/plot_transfer/{task}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_transfer"),
    script:
        "../scripts/plot_transfer.py"


rule tabulate_levels:
    """Tabulate the scores of fine-tunings under masks: a row per pruning, source, seed and level."""
    input:
        results=own_results,
    output:
        table="<results>/subnetworks/{task}.levels.csv",
    log:
        "<logs>/tabulate_levels/{task}.log",
    benchmark:
        "<benchmarks>/tabulate_levels/{task}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("tabulate_levels"),
    script:
        "../scripts/tabulate_levels.py"


rule find_winning:
    """Find the highest winning sparsity of each line of scores."""
    input:
        scores=["<results>/subnetworks/{task}.levels.csv"],
    output:
        table="<results>/subnetworks/{task}.winning.csv",
        levels="<results>/subnetworks/{task}.means.csv",
    log:
        "<logs>/find_winning/{task}.log",
    benchmark:
        "<benchmarks>/find_winning/{task}.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        metric="score",
        by=["pruning", "language"],
        higher_is_better=True,
        code=code_of("find_winning"),
    script:
        "../scripts/find_winning.py"


rule plot_winning:
    """Draw scores against sparsity, with the threshold that wins."""
    input:
        scores=["<results>/subnetworks/{task}.levels.csv"],
    output:
        figure=report(
            "<results>/subnetworks/{task}.winning.svg",
            caption="../report/winning.rst",
            category="Sub-networks",
            labels={"shows": "winning sparsity", "task": "{task}"},
        ),
    log:
        "<logs>/plot_winning/{task}.log",
    benchmark:
        "<benchmarks>/plot_winning/{task}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        metric="score",
        panel="language",
        line="pruning",
        label=lambda wildcards: TASKS[wildcards.task].shown,
        higher_is_better=True,
        code=code_of("plot_winning"),
    script:
        "../scripts/plot_winning.py"
