"""<results>/tasks -> <results>/subnetworks, <results>/transfer: sub-networks by pruning, and what they do elsewhere."""


rule find_subnetworks:
    """Iterative magnitude pruning, or a control of it: a sub-network and its scores at every level of sparsity."""
    input:
        unpack(subnetwork_subject),
        unpack(source_splits),
    output:
        subnetworks=expand(
            "<results>/subnetworks/{{search}}{{task}}/{{source}}/{sparsity}.safetensors",
            sparsity=SPARSITIES,
        ),
        levels="<results>/subnetworks/{search}{task}/{source}/levels.json",
    log:
        "<logs>/find_subnetworks/{search}{task}.{source}.log",
    benchmark:
        "<benchmarks>/find_subnetworks/{search}{task}.{source}.tsv"
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=subnetwork_mb(subnetwork_options),
        runtime=subnetwork_minutes(
            search_steps,
            subnetwork_options,
            rounds=SUBNETWORKS["levels"],
            most=48 * 60,
        ),
        unknown_words=UNKNOWN_WORDS,
    params:
        source=subnetwork_source,
        search=search_options,
        seed=search_seed,
        options=subnetwork_options,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("find_subnetworks"),
    script:
        "../scripts/find_subnetworks.py"


rule make_mask:
    """A mask from outside, or what several masks all or any keep."""
    input:
        unpack(subnetwork_subject),
        masks=masks_of_source,
    output:
        mask="<results>/masks/{name}/seed_{seed}.safetensors",
    log:
        "<logs>/make_mask/{name}.{seed}.log",
    benchmark:
        "<benchmarks>/make_mask/{name}.{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=masks_mb_of_model,
        runtime=30,
    params:
        source=subnetwork_source,
        mask=lambda wildcards: MASK_SOURCES[wildcards.name],
        code=code_of("make_mask"),
    script:
        "../scripts/make_mask.py"


rule finetune_subnetwork:
    """Fine-tune a task and language under any mask, from the original weights with a new head."""
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
        mem_mb=subnetwork_mb(transfer_options),
        runtime=subnetwork_minutes(transfer_steps, transfer_options),
        unknown_words=UNKNOWN_WORDS,
    params:
        source=subnetwork_source,
        steps=transfer_steps,
        together=config["subnetworks"]["together"],
        options=transfer_options,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("finetune_subnetwork"),
    script:
        "../scripts/finetune_subnetwork.py"


rule tabulate_transfer:
    """Rows: where the mask comes from; columns: the language that is fine-tuned under it."""
    input:
        results=transfer_results,
    output:
        matrix="<results>/transfer/{task}.json",
        table="<results>/transfer/{task}.csv",
    log:
        "<logs>/tabulate_transfer/{task}.log",
    benchmark:
        "<benchmarks>/tabulate_transfer/{task}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("tabulate_transfer"),
    script:
        "../scripts/tabulate_transfer.py"


rule plot_transfer:
    """Scores under masks from elsewhere as a heat map."""
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
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("plot_transfer"),
    script:
        "../scripts/plot_transfer.py"
