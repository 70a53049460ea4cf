"""<results>/pretraining/phase_{phase}.conflict.npz -> <results>/conflict, <results>/report: conflict of languages."""

from polyticket.conflict.settings import KINDS, SHARED


include: "functions/conflict.smk"


rule tabulate_conflict:
    """Write the cosines of all pairs of languages at one step, for one kind of vectors."""
    input:
        trace=conflict_trace,
    output:
        table="<results>/{run}conflict/{kind}/{step}.csv",
        about="<results>/{run}conflict/{kind}/{step}.json",
    log:
        "<logs>/{run}tabulate_conflict/{kind}.{step}.log",
    benchmark:
        "<benchmarks>/{run}tabulate_conflict/{kind}.{step}.tsv"
    wildcard_constraints:
        kind="|".join((*KINDS, *SHARED)),
        step=r"[1-9]\d*",
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("tabulate_conflict"),
    script:
        "../scripts/tabulate_conflict.py"


rule plot_conflict:
    """Draw heat maps of the cosines at the last step, a panel per run."""
    input:
        tables=at_last_step("<results>/{run}conflict/{{kind}}/{step}.csv"),
        abouts=at_last_step("<results>/{run}conflict/{{kind}}/{step}.json"),
    output:
        figure=report(
            "<results>/report/conflict_{kind}.svg",
            caption="../report/conflict.rst",
            category="Conflict",
            labels={"shows": "conflict of {kind}", "form": "figure"},
        ),
    log:
        "<logs>/plot_conflict/{kind}.log",
    benchmark:
        "<benchmarks>/plot_conflict/{kind}.tsv"
    wildcard_constraints:
        kind="|".join((*KINDS, *SHARED)),
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in pretrained_runs()],
        code=code_of("plot_conflict"),
    script:
        "../scripts/plot_conflict.py"


rule plot_conflict_trend:
    """Draw the share of negative pairs and the mean cosine over the steps of pretraining."""
    input:
        traces=[f"<results>/{run}pretraining/phase_{len(PHASES)}.conflict.npz" for run in pretrained_runs()],
    output:
        figure=report(
            "<results>/report/conflict.svg",
            caption="../report/conflict_trend.rst",
            category="Conflict",
            labels={"shows": "conflict over steps", "form": "figure"},
        ),
    log:
        "<logs>/plot_conflict_trend.log",
    benchmark:
        "<benchmarks>/plot_conflict_trend.tsv"
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        runs=[shown(run) for run in pretrained_runs()],
        code=code_of("plot_conflict_trend"),
    script:
        "../scripts/plot_conflict_trend.py"
