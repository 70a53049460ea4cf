"""<results>/ticket.safetensors -> checkpoints at the store, <results>/pretraining/phase_{phase}.json: pretraining."""


rule build_checkpoint:
    """A name-based TensorFlow checkpoint of the initial weights and all languages' masks."""
    input:
        model=initial_model,
        ticket=ticket_file,
    output:
        checkpoint=directory("<results>/{run}checkpoint"),
    log:
        "<logs>/{run}build_checkpoint.log",
    benchmark:
        "<benchmarks>/{run}build_checkpoint.tsv"
    conda:
        "../../envs/tensorflow.yaml"
    threads: 1
    resources:
        mem_mb=mem_for_model(base_mb=2000, weights=4, masks=2),
        runtime=30,
    params:
        languages=config["languages"],
        mask_method=choice("mask_method"),
        code=code_of("build_checkpoint"),
    script:
        "../scripts/build_checkpoint.py"


rule upload_checkpoint:
    """Bring the checkpoint to the store: complete or invisible."""
    input:
        checkpoint="<results>/{run}checkpoint",
    output:
        receipt="<results>/{run}upload.json",
    log:
        "<logs>/{run}upload_checkpoint.log",
    benchmark:
        "<benchmarks>/{run}upload_checkpoint.tsv"
    retries: 2
    conda:
        "../../envs/tensorflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        store=STORE,
        stem=lambda wildcards: f"{wildcards.run}initial",
        code=code_of("upload_checkpoint"),
    script:
        "../scripts/upload_checkpoint.py"


rule pretrain_phase:
    """Train to the last step of a phase; live checkpoints stand at the store, so a killed job goes on from there."""
    input:
        start=checkpoint_before,
        records=expand("<results>/records/phase_{{phase}}/{lang}", lang=config["languages"]),
        ratios=sampling_table(),
    output:
        **trace_output(),
        receipt="<results>/{run}pretraining/phase_{phase}.json",
        history="<results>/{run}pretraining/phase_{phase}.losses.csv",
    log:
        "<logs>/{run}pretrain_phase/{phase}.log",
    benchmark:
        "<benchmarks>/{run}pretrain_phase/{phase}.tsv"
    retries: 2
    conda:
        "../../envs/tensorflow.yaml"
    threads: config["threads"]["pretraining"]
    resources:
        mem_mb=pretraining_mb,
        runtime=pretraining_minutes,
    params:
        store=STORE,
        live=lambda wildcards: f"{wildcards.run}pretraining/phase_{wildcards.phase}",
        languages=config["languages"],
        phase_index=lambda wildcards: int(wildcards.phase) - 1,
        options=PRETRAINING,
        compute_threads=config["threads"]["pretraining"],
        seed=config["seed"],
        code=code_of("pretrain_phase"),
    script:
        "../scripts/pretrain_phase.py"
