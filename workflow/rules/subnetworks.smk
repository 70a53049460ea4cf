"""<results>/tasks -> <results>/subnetworks/{task}/{source}, <results>/masks: sub-networks found by pruning."""


include: "functions/subnetworks.smk"


rule find_subnetworks:
    """Find a sub-network at every level of sparsity, by iterative magnitude pruning or a control."""
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
        mem_mb=growing(subnetwork_mb(subnetwork_options)),
        runtime=subnetwork_minutes(
            search_steps,
            subnetwork_options,
            rounds=SUBNETWORKS["levels"],
            most=48 * 60,
        ),
        unknown_words=UNKNOWN_WORDS,
        disk_mb=disk_for_input(6),
        gpu=gpus("finetuning"),
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
    """Make the mask of a named mask source: import a file, or combine masks."""
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
        mem_mb=growing(masks_mb_of_model),
        runtime=30,
        disk_mb=disk_for_input(3),
    params:
        source=subnetwork_source,
        mask=lambda wildcards: MASK_SOURCES[wildcards.name],
        code=code_of("make_mask"),
    script:
        "../scripts/make_mask.py"
