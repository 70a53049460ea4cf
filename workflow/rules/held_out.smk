"""<results>/held_out/records -> <results>/pretraining/phase_{phase}.held_out.json: how well unseen text is predicted."""


rule score_held_out:
    """Masked-LM accuracy, perplexity and next-sentence accuracy of a phase's last checkpoint, per language."""
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
        mem_mb=held_out_mb,
        runtime=held_out_minutes,
    params:
        languages=config["languages"],
        most=config["pretraining"]["held_out_instances"],
        threads=config["threads"]["pretraining"],
        code=code_of("score_held_out"),
    script:
        "../scripts/score_held_out.py"


rule plot_held_out:
    """Accuracies and perplexity on held-out records at the end of each phase."""
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
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=[shown(run) for run in at_phase_ends("{run}")],
        languages=config["languages"],
        code=code_of("plot_held_out"),
    script:
        "../scripts/plot_held_out.py"
