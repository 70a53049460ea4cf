"""<results>/records/phase_1/{lang} -> <results>/saliency -> <results>/ticket.safetensors: who keeps which neurons."""


rule make_initial_model:
    """A random BERT of the configured shape, scaled up for tickets, with its tokenizer."""
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
        mem_mb=mem_for_model(base_mb=1000, weights=3),
        runtime=30,
    params:
        shape=choice("model"),
        seed=config["seed"],
        code=code_of("make_initial_model"),
    script:
        "../scripts/make_initial_model.py"


rule score_saliency:
    """Scores of every prunable site on one language's records, by the method of the run."""
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
        mem_mb=saliency_mb,
        runtime=saliency_minutes(passes=2),
    params:
        options=SALIENCY_OPTIONS,
        threads=config["threads"]["saliency"],
        seed=config["seed"],
        language_index=language_index,
        code=code_of("score_saliency"),
    script:
        "../scripts/score_saliency.py"


rule score_bake_off:
    """Scores by all methods of `saliency_options.bake_off`, in one pass over the same batches."""
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
        mem_mb=saliency_mb,
        runtime=saliency_minutes(passes=3),
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
    """Noise in place of scores: the control."""
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
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        seed=config["seed"],
        language_index=language_index,
        code=code_of("score_random"),
    script:
        "../scripts/score_random.py"


rule allocate_ticket:
    """One ticket for all languages: the highest scores within the budget."""
    input:
        scores=lambda wildcards: expand(
            "<results>/{run}saliency/{saliency}/{lang}.safetensors",
            run=initial_of(wildcards.run),
            saliency=settings_of(wildcards.run)["saliency"],
            lang=config["languages"],
        ),
        model=initial_model,
    output:
        ticket="<results>/{run}ticket.safetensors",
        stats="<results>/{run}ticket.stats.json",
    log:
        "<logs>/{run}allocate_ticket.log",
    benchmark:
        "<benchmarks>/{run}allocate_ticket.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=allocation_mb,
        runtime=10,
    params:
        ticket=choice("ticket"),
        languages=config["languages"],
        saliency=choice("saliency"),
        remain_ratio=choice("remain_ratio"),
        seed=config["seed"],
        code=code_of("allocate_ticket"),
    script:
        "../scripts/allocate_ticket.py"
