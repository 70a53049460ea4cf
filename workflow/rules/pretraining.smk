"""<results>/records, <results>/ticket.safetensors -> <results>/pretraining: checkpoints at the store, and scores."""


include: "functions/pretraining.smk"


onstart:
    require_store(workflow.dag.needrun_jobs())


rule build_checkpoint:
    """Write a name-based TensorFlow checkpoint of the initial weights and all languages' masks."""
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
        mem_mb=growing(mem_for_model(base_mb=2000, weights=4, masks=2)),
        runtime=30,
        disk_mb=disk_for_input(4),
    params:
        languages=config["languages"],
        mask_method=choice("mask_method"),
        code=code_of("build_checkpoint"),
    script:
        "../scripts/build_checkpoint.py"


rule upload_checkpoint:
    """Upload the checkpoint to the store, where it is complete or invisible."""
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
        mem_mb=growing(1000),
        runtime=120,
        disk_mb=disk_for_input(3),
    params:
        store=STORE,
        stem=lambda wildcards: f"{wildcards.run}initial",
        code=code_of("upload_checkpoint"),
    script:
        "../scripts/upload_checkpoint.py"


rule pretrain_phase:
    """Train to the last step of a phase; a killed job resumes from its last checkpoint at the store."""
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
    priority: 1  # others wait for it
    retries: 2
    conda:
        "../../envs/tensorflow.yaml"
    threads: config["threads"]["pretraining"]
    resources:
        mem_mb=growing(pretraining_mb),
        runtime=pretraining_minutes,
        disk_mb=pretraining_disk_mb,
        gpu=gpus("pretraining"),
        tpu=tpus(),
    params:
        store=STORE,
        checkpoints=lambda wildcards: f"{wildcards.run}pretraining/phase_{wildcards.phase}",
        languages=config["languages"],
        phase_index=lambda wildcards: int(wildcards.phase) - 1,
        options=PRETRAINING,
        compute_threads=config["threads"]["pretraining"],
        seed=config["seed"],
        code=code_of("pretrain_phase"),
    script:
        "../scripts/pretrain_phase.py"


rule score_held_out:
    """Score masked-LM accuracy, perplexity and next-sentence accuracy of a phase's last checkpoint, per language."""
    input:
        receipt="<results>/{run}pretraining/phase_{phase}.json",
        records=expand(
            "<results>/held_out/records/phase_{{phase}}/{lang}",
            lang=config["languages"],
        ),
    output:
        scores="<results>/{run}pretraining/phase_{phase}.held_out.json",
    log:
        "<logs>/{run}score_held_out/{phase}.log",
    benchmark:
        "<benchmarks>/{run}score_held_out/{phase}.tsv"
    retries: 2
    conda:
        "../../envs/tensorflow.yaml"
    threads: config["threads"]["pretraining"]
    resources:
        mem_mb=growing(held_out_mb),
        runtime=held_out_minutes,
        disk_mb=pretraining_disk_mb,
        gpu=gpus("pretraining"),
    params:
        languages=config["languages"],
        most=config["pretraining"]["held_out_instances"],
        threads=config["threads"]["pretraining"],
        code=code_of("score_held_out"),
    script:
        "../scripts/score_held_out.py"


rule plot_losses:
    """Draw the losses of masked tokens and of next-sentence decisions over the steps of pretraining."""
    input:
        histories=[f"<results>/{run}pretraining/phase_{len(PHASES)}.losses.csv" for run in pretrained_runs()],
    output:
        figure=report(
            "<results>/report/losses.svg",
            caption="../report/losses.rst",
            category="Summary",
            labels={"shows": "losses of pretraining", "form": "figure"},
        ),
    log:
        "<logs>/plot_losses.log",
    benchmark:
        "<benchmarks>/plot_losses.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in pretrained_runs()],
        phases=PHASES,
        code=code_of("plot_losses"),
    script:
        "../scripts/plot_losses.py"


rule plot_held_out:
    """Draw accuracies and perplexity on held-out records at the end of each phase."""
    input:
        scores=at_phase_ends("<results>/{run}pretraining/phase_{phase}.held_out.json"),
    output:
        figure=report(
            "<results>/report/held_out.svg",
            caption="../report/held_out.rst",
            category="Summary",
            labels={"shows": "held-out records", "form": "figure"},
        ),
    log:
        "<logs>/plot_held_out.log",
    benchmark:
        "<benchmarks>/plot_held_out.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in at_phase_ends("{run}")],
        languages=config["languages"],
        code=code_of("plot_held_out"),
    script:
        "../scripts/plot_held_out.py"
