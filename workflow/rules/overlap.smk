"""<results>/subnetworks, <results>/ticket.safetensors -> <results>/overlap: overlap, and linguistic distances."""


include: "functions/overlap.smk"


rule compare_subnetworks:
    """Compare masks pair by pair and set by set, with chance levels, by layer and component."""
    input:
        tickets=compared_tickets,
    output:
        pairs="<results>/overlap/{compared}/pairs.csv",
        summary="<results>/overlap/{compared}/summary.csv",
        sets="<results>/overlap/{compared}/sets.csv",
        densities="<results>/overlap/{compared}/densities.csv",
        intersection="<results>/overlap/{compared}/intersection.safetensors",
    log:
        "<logs>/compare_subnetworks/{compared}.log",
    benchmark:
        "<benchmarks>/compare_subnetworks/{compared}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(mem_for_input(factor=6, base_mb=1000)),
        runtime=60,
        disk_mb=disk_for_input(2),
    params:
        names=compared_names,
        code=code_of("compare_subnetworks"),
    script:
        "../scripts/compare_subnetworks.py"


rule plot_overlap:
    """Draw the overlap of masks and its chance level as a heat map."""
    input:
        pairs="<results>/overlap/{compared}/pairs.csv",
    output:
        figure=report(
            "<results>/overlap/{compared}/overlap.svg",
            caption="../report/overlap.rst",
            category="Sub-networks",
            labels={"shows": "overlap", "of": "{compared}"},
        ),
    log:
        "<logs>/plot_overlap/{compared}.log",
    benchmark:
        "<benchmarks>/plot_overlap/{compared}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_overlap"),
    script:
        "../scripts/plot_overlap.py"


rule compare_with_distances:
    """Compare the similarity of masks with linguistic distances (Mantel test) and the family tree."""
    input:
        pairs="<results>/overlap/{compared}/pairs.csv",
        distances=distance_files,
    output:
        table="<results>/overlap/{compared}/distances.csv",
        facts="<results>/overlap/{compared}/distances.json",
    log:
        "<logs>/compare_with_distances/{compared}.log",
    benchmark:
        "<benchmarks>/compare_with_distances/{compared}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=30,
        disk_mb=1000,
    params:
        kinds=list(SUBNETWORKS["distances"]),
        options=distance_options,
        code=code_of("compare_with_distances"),
    script:
        "../scripts/compare_with_distances.py"


rule plot_linguistic:
    """Draw the tree of masks beside the family tree, and similarity against each kind of distance."""
    input:
        facts="<results>/overlap/{compared}/distances.json",
        distances=distance_files,
    output:
        figure=report(
            "<results>/overlap/{compared}/linguistic.svg",
            caption="../report/linguistic.rst",
            category="Sub-networks",
            labels={"shows": "linguistic distances", "of": "{compared}"},
        ),
    log:
        "<logs>/plot_linguistic/{compared}.log",
    benchmark:
        "<benchmarks>/plot_linguistic/{compared}.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_linguistic"),
    script:
        "../scripts/plot_linguistic.py"
