"""<results>/records/phase_1/{lang} -> <results>/initial, <results>/saliency: scores of the initial model's neurons."""


include: "functions/saliency.smk"


rule make_initial_model:
    """Initialise a random BERT of the configured shape, scaled up for tickets, with its tokenizer."""
    input:
        tokenizer="<results>/vocabulary",
    output:
        model=directory("<results>/{run}initial"),
    log:
        "<logs>/{run}make_initial_model.log",
    benchmark:
        "<benchmarks>/{run}make_initial_model.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(mem_for_model(base_mb=1000, weights=3)),
        runtime=30,
        disk_mb=mem_for_model(base_mb=200, weights=2),
    params:
        shape=choice("model"),
        seed=config["seed"],
        code=code_of("make_initial_model"),
    script:
        "../scripts/make_initial_model.py"


rule score_saliency:
    """Score every prunable site on one language's records by the method of the run."""
    input:
        records="<results>/records/phase_1/{lang}",
        model="<results>/{run}initial",
    output:
        scores="<results>/{run}saliency/{saliency}/{lang}.safetensors",
        stats="<results>/{run}saliency/{saliency}/{lang}.stats.json",
    log:
        "<logs>/{run}score_saliency/{saliency}.{lang}.log",
    benchmark:
        "<benchmarks>/{run}score_saliency/{saliency}.{lang}.tsv"
    wildcard_constraints:
        saliency="|".join(SCORED),
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["saliency"]
    resources:
        mem_mb=growing(saliency_mb),
        runtime=saliency_minutes(passes=2),
        disk_mb=disk_for_input(2),
        gpu=gpus("saliency"),
    params:
        options=SALIENCY_OPTIONS,
        threads=config["threads"]["saliency"],
        seed=config["seed"],
        language_index=language_index,
        code=code_of("score_saliency"),
    script:
        "../scripts/score_saliency.py"


rule score_bake_off:
    """Score by all methods of `saliency_options.bake_off` in one pass over the same batches."""
    input:
        records="<results>/records/phase_1/{lang}",
        model="<results>/initial",
    output:
        scores=expand("<results>/bake_off/{method}/{{lang}}.safetensors", method=BAKE_OFF),
        stats=expand("<results>/bake_off/{method}/{{lang}}.stats.json", method=BAKE_OFF),
    log:
        "<logs>/score_bake_off/{lang}.log",
    benchmark:
        "<benchmarks>/score_bake_off/{lang}.tsv"
    retries: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["saliency"]
    resources:
        mem_mb=growing(saliency_mb),
        runtime=saliency_minutes(passes=3),
        disk_mb=disk_for_input(6),
        gpu=gpus("saliency"),
    params:
        options=SALIENCY_OPTIONS,
        threads=config["threads"]["saliency"],
        seed=config["seed"],
        language_index=language_index,
        methods=BAKE_OFF,
        code=code_of("score_bake_off"),
    script:
        "../scripts/score_bake_off.py"


rule score_random:
    """Draw random scores, the control."""
    input:
        model="<results>/{run}initial",
    output:
        scores="<results>/{run}saliency/{saliency}/{lang}.safetensors",
    log:
        "<logs>/{run}score_random/{saliency}.{lang}.log",
    benchmark:
        "<benchmarks>/{run}score_random/{saliency}.{lang}.tsv"
    wildcard_constraints:
        saliency="random|random_uniform",
    group:
        "controls"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
        disk_mb=disk_for_input(2),
    params:
        seed=config["seed"],
        language_index=language_index,
        code=code_of("score_random"),
    script:
        "../scripts/score_random.py"


rule plot_saliency:
    """Draw distributions of scores by site and language, for the methods that runs use or for the bake-off."""
    input:
        scores=lambda wildcards: expand(
            f"<results>/{wildcards.picture}/{{method}}/{{lang}}.safetensors",
            method=methods_of(wildcards.picture),
            lang=config["languages"],
        ),
    output:
        figure=report(
            "<results>/report/{picture}.svg",
            caption="../report/saliency.rst",
            category="Tickets",
            labels={"shows": "{picture}", "form": "figure"},
        ),
    log:
        "<logs>/plot_saliency/{picture}.log",
    benchmark:
        "<benchmarks>/plot_saliency/{picture}.tsv"
    wildcard_constraints:
        picture="saliency|bake_off",
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(mem_for_input(4, 500)),
        runtime=10,
        disk_mb=disk_for_input(2),
    params:
        methods=lambda wildcards: methods_of(wildcards.picture),
        languages=config["languages"],
        remain_ratio=config["remain_ratio"],
        code=code_of("plot_saliency"),
    script:
        "../scripts/plot_saliency.py"
