"""<results>/subnetworks -> <results>/overlap, <results>/retrieval: what wins, how alike, and what sentences mean to it."""


rule tabulate_levels:
    """The scores of a task's sub-networks, fine-tuned afresh: a row per pruning, source, seed and level."""
    input:
        results=own_results,
    output:
        table="<results>/subnetworks/{task}.levels.csv",
    log:
        "<logs>/tabulate_levels/{task}.log",
    benchmark:
        "<benchmarks>/tabulate_levels/{task}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("tabulate_levels"),
    script:
        "../scripts/tabulate_levels.py"


rule find_winning:
    """The highest sparsity at which a sub-network is as good as the full model."""
    input:
        scores=["<results>/subnetworks/{task}.levels.csv"],
    output:
        table="<results>/subnetworks/{task}.winning.csv",
        levels="<results>/subnetworks/{task}.means.csv",
    log:
        "<logs>/find_winning/{task}.log",
    benchmark:
        "<benchmarks>/find_winning/{task}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        metric="score",
        by=["pruning", "language"],
        higher_is_better=True,
        code=code_of("find_winning"),
    script:
        "../scripts/find_winning.py"


rule plot_winning:
    """Score against sparsity, with the spread of the full model."""
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
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        metric="score",
        panel="language",
        line="pruning",
        label=lambda wildcards: TASKS[wildcards.task].shown,
        higher_is_better=True,
        code=code_of("plot_winning"),
    script:
        "../scripts/plot_winning.py"


rule score_retrieval:
    """How well translations find each other in each layer of the full or a pruned encoder."""
    input:
        unpack(retrieval_inputs),
    output:
        scores="<results>/retrieval/{lang}/{other}/{mask_source}.json",
    log:
        "<logs>/score_retrieval/{lang}.{other}.{mask_source}.log",
    benchmark:
        "<benchmarks>/score_retrieval/{lang}.{other}.{mask_source}.tsv"
    wildcard_constraints:
        lang="|".join(retrieval_languages()),
        other="|".join(retrieval_languages()),
        mask_source=r"[^/]+",
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=retrieval_mb,
        runtime=120,
        unknown_words=UNKNOWN_WORDS,
    params:
        source=subnetwork_source,
        pair=lambda wildcards: [wildcards.lang, wildcards.other],
        seed=SUBNETWORK_SEEDS[0],
        together=SUBNETWORKS["together"],
        options=RETRIEVED,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("score_retrieval"),
    script:
        "../scripts/score_retrieval.py"


rule plot_retrieval:
    """Retrieval by layer, the full encoder beside pruned ones."""
    input:
        scores=retrieval_scores,
    output:
        figure=report(
            "<results>/retrieval/retrieval.svg",
            caption="../report/retrieval.rst",
            category="Sub-networks",
            labels={"shows": "sentence retrieval"},
        ),
    log:
        "<logs>/plot_retrieval.log",
    benchmark:
        "<benchmarks>/plot_retrieval.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=retrieval_runs,
        margin=RETRIEVAL["margins"][0],
        code=code_of("plot_retrieval"),
    script:
        "../scripts/plot_retrieval.py"
