"""<results>/{task}/{lang}.json, losses, tickets -> <results>/report: the table and the figures of the report."""


rule tabulate_scores:
    """Every run, task and language in one table, beside the baseline that each must beat; and each class in another."""
    input:
        results=scored("<results>/{run}{task}/{lang}.json"),
        baselines=baselines(),
    output:
        table=report(
            "<results>/report/scores.csv",
            caption="../report/scores_table.rst",
            category="Summary",
            labels={"shows": "scores", "form": "CSV file"},
        ),
        page=report(
            "<results>/report/scores.html",
            caption="../report/scores_table.rst",
            category="Summary",
            labels={"shows": "scores", "form": "table"},
        ),
        classes=report(
            "<results>/report/classes.csv",
            caption="../report/classes.rst",
            category="Summary",
            labels={"shows": "scores by class", "form": "CSV file"},
        ),
        class_page=report(
            "<results>/report/classes.html",
            caption="../report/classes.rst",
            category="Summary",
            labels={"shows": "scores by class", "form": "table"},
        ),
    log:
        "<logs>/tabulate_scores.log",
    benchmark:
        "<benchmarks>/tabulate_scores.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=[shown(run) for run in scored("{run}")],
        code=code_of("tabulate_scores"),
    script:
        "../scripts/tabulate_scores.py"


rule plot_scores:
    """F1 on test as bars."""
    input:
        table="<results>/report/scores.csv",
    output:
        figure=report(
            "<results>/report/scores.svg",
            caption="../report/scores.rst",
            category="Summary",
            labels={"shows": "scores", "form": "figure"},
        ),
    log:
        "<logs>/plot_scores.log",
    benchmark:
        "<benchmarks>/plot_scores.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("plot_scores"),
    script:
        "../scripts/plot_scores.py"


rule plot_losses:
    """Both losses over the steps of pretraining."""
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
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=[shown(run) for run in pretrained_runs()],
        phases=PHASES,
        code=code_of("plot_losses"),
    script:
        "../scripts/plot_losses.py"


rule draw_stages:
    """The way from dumps to scores."""
    output:
        figure=report(
            "<results>/report/stages.svg",
            caption="../report/stages.rst",
            category="Summary",
            labels={"shows": "stages", "form": "figure"},
        ),
    log:
        "<logs>/draw_stages.log",
    benchmark:
        "<benchmarks>/draw_stages.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("draw_stages"),
    script:
        "../scripts/draw_stages.py"
