"""<results>/ticket.safetensors, <results>/saliency -> <results>/report: what languages keep, how alike they are, and why."""


rule plot_density:
    """What each language keeps at each site."""
    input:
        stats=[f"<results>/{run}ticket.stats.json" for run in ticket_runs()],
    output:
        figure=report(
            "<results>/report/density.svg",
            caption="../report/density.rst",
            category="Tickets",
            labels={"shows": "density of tickets", "form": "figure"},
        ),
    log:
        "<logs>/plot_density.log",
    benchmark:
        "<benchmarks>/plot_density.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=[shown(run) for run in ticket_runs()],
        code=code_of("plot_density"),
    script:
        "../scripts/plot_density.py"


rule plot_saliency:
    """Distributions of scores by site and language, for the methods that runs use or for the bake-off."""
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
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=mem_for_input(4, 500),
        runtime=10,
    params:
        methods=lambda wildcards: methods_of(wildcards.picture),
        languages=config["languages"],
        remain_ratio=config["remain_ratio"],
        code=code_of("plot_saliency"),
    script:
        "../scripts/plot_saliency.py"


rule plot_similarity:
    """How alike the tickets of all pairs of languages are, beside what chance gives."""
    input:
        tickets=[f"<results>/{run}ticket.safetensors" for run in ticket_runs()],
    output:
        figure=report(
            "<results>/report/similarity.svg",
            caption="../report/similarity.rst",
            category="Tickets",
            labels={"shows": "similarity of tickets", "form": "figure"},
        ),
    log:
        "<logs>/plot_similarity.log",
    benchmark:
        "<benchmarks>/plot_similarity.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=[shown(run) for run in ticket_runs()],
        code=code_of("plot_similarity"),
    script:
        "../scripts/plot_similarity.py"
