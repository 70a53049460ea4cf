"""<results>/corpus/{lang}/ledger.json, <results>/records -> <results>/report: what became of the text, and how much there is."""


rule tabulate_corpus:
    """The ledgers of all languages in one table."""
    input:
        ledgers=expand("<results>/corpus/{lang}/ledger.json", lang=config["languages"]),
    output:
        table=report(
            "<results>/report/ledger.csv",
            caption="../report/ledger_table.rst",
            category="Corpus",
            labels={"shows": "text ledger", "form": "CSV file"},
        ),
        page=report(
            "<results>/report/ledger.html",
            caption="../report/ledger_table.rst",
            category="Corpus",
            labels={"shows": "text ledger", "form": "table"},
        ),
    log:
        "<logs>/tabulate_corpus.log",
    benchmark:
        "<benchmarks>/tabulate_corpus.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        languages=config["languages"],
        code=code_of("tabulate_corpus"),
    script:
        "../scripts/tabulate_corpus.py"


rule plot_ledger:
    """What became of the pages and lines of each language."""
    input:
        table="<results>/report/ledger.csv",
    output:
        figure=report(
            "<results>/report/ledger.svg",
            caption="../report/ledger.rst",
            category="Corpus",
            labels={"shows": "text ledger", "form": "figure"},
        ),
    log:
        "<logs>/plot_ledger.log",
    benchmark:
        "<benchmarks>/plot_ledger.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("plot_ledger"),
    script:
        "../scripts/plot_ledger.py"


rule plot_corpus:
    """Corpus sizes, and how often pretraining draws each language."""
    input:
        ledgers=expand("<results>/corpus/{lang}/ledger.json", lang=config["languages"]),
        records=expand("<results>/records/phase_1/{lang}", lang=config["languages"]),
        ratios=sampling_table(),
    output:
        figure=report(
            "<results>/report/corpus.svg",
            caption="../report/corpus.rst",
            category="Corpus",
            labels={"shows": "sizes and sampling ratios", "form": "figure"},
        ),
    log:
        "<logs>/plot_corpus.log",
    benchmark:
        "<benchmarks>/plot_corpus.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        languages=config["languages"],
        options=sampling(),
        code=code_of("plot_corpus"),
    script:
        "../scripts/plot_corpus.py"
