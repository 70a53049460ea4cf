"""<results>/saliency -> <results>/ticket.safetensors: the neurons that each language keeps, density and similarity."""


include: "functions/tickets.smk"


rule allocate_ticket:
    """Allocate one ticket for all languages: the highest scores within the budget."""
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
        mem_mb=growing(allocation_mb),
        runtime=10,
        disk_mb=disk_for_input(2),
    params:
        ticket=choice("ticket"),
        languages=config["languages"],
        saliency=choice("saliency"),
        remain_ratio=choice("remain_ratio"),
        seed=config["seed"],
        code=code_of("allocate_ticket"),
    script:
        "../scripts/allocate_ticket.py"


rule plot_density:
    """Draw the density of each language at each site."""
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
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in ticket_runs()],
        code=code_of("plot_density"),
    script:
        "../scripts/plot_density.py"


rule plot_similarity:
    """Draw the similarity of the tickets of all pairs of languages, less its chance level."""
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
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in ticket_runs()],
        code=code_of("plot_similarity"),
    script:
        "../scripts/plot_similarity.py"
