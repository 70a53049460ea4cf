"""<results>/subnetworks, parallel sentences -> <results>/retrieval: retrieval of translations by layer."""


include: "functions/retrieval.smk"


rule score_retrieval:
    """Score the retrieval of parallel sentences at each layer of a full or pruned encoder."""
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
        mem_mb=growing(retrieval_mb),
        runtime=120,
        unknown_words=UNKNOWN_WORDS,
        disk_mb=disk_for_input(2),
        gpu=gpus("finetuning"),
    params:
        source=subnetwork_source,
        pair=lambda wildcards: [wildcards.lang, wildcards.other],
        seed=SUBNETWORK_SEEDS[0],
        joint_pool=SUBNETWORKS["joint_pool"],
        options=RETRIEVED,
        compute_threads=config["threads"]["finetuning"],
        code=code_of("score_retrieval"),
    script:
        "../scripts/score_retrieval.py"


rule plot_retrieval:
    """Draw retrieval by layer, the full encoder beside pruned encoders."""
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
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=retrieval_runs,
        margin=RETRIEVAL["margins"][0],
        code=code_of("plot_retrieval"),
    script:
        "../scripts/plot_retrieval.py"
