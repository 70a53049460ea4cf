"""<results>/corpus/{lang}/articles -> <results>/corpus/{lang}/sentences.txt, <results>/vocabulary, text ledger."""


include: "functions/corpus.smk"


rule split_sentences:
    """Split the articles of a language: a sentence a line, an empty line between articles; write its ledger."""
    input:
        articles=all_ranges("<results>/corpus/{lang}/articles/{range}.jsonl"),
        ledgers=all_ranges("<results>/corpus/{lang}/articles/{range}.ledger.json"),
    output:
        sentences="<results>/corpus/{lang}/sentences.txt",
        ledger="<results>/corpus/{lang}/ledger.json",
    log:
        "<logs>/split_sentences/{lang}.log",
    benchmark:
        "<benchmarks>/split_sentences/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=minutes_for_input(60),
        disk_mb=disk_for_input(3),
    params:
        options=lambda wildcards: {
            **TEXT_FILTERS,
            "scripts": LANGUAGES[wildcards.lang].scripts,
        },
        page_budget=config["extraction"]["page_budget"],
        code=code_of("split_sentences"),
    script:
        "../scripts/split_sentences.py"


rule check_text:
    """Stop if the sentences hold too much markup; later rules take this as `ancient`, so a new limit reruns nothing."""
    input:
        ledger="<results>/corpus/{lang}/ledger.json",
    output:
        checked="<results>/corpus/{lang}/checked.json",
    log:
        "<logs>/check_text/{lang}.log",
    benchmark:
        "<benchmarks>/check_text/{lang}.tsv"
    localrule: True
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        max_residual_markup=config["text"]["max_residual_markup"],
        code=code_of("check_text"),
    script:
        "../scripts/check_text.py"


rule build_vocabulary:
    """Train the tokenizer on the corpus, or take it from a vocabulary file or a Hugging Face tokenizer."""
    input:
        sentences=training_text("sentences.txt"),
        checked=ancient(training_text("checked.json")),
        given=given_vocabulary,
    output:
        tokenizer=directory("<results>/vocabulary"),
    log:
        "<logs>/build_vocabulary.log",
    benchmark:
        "<benchmarks>/build_vocabulary.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 2
    resources:
        mem_mb=growing(vocabulary_mb),
        runtime=minutes_for_input(20),
        disk_mb=disk_for_input(2),
    params:
        options=config["vocabulary"] | {"path": vocabulary_path()},
        code=code_of("build_vocabulary"),
    script:
        "../scripts/build_vocabulary.py"


rule tabulate_corpus:
    """Write the text ledgers of all languages as one table."""
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
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        languages=config["languages"],
        code=code_of("tabulate_corpus"),
    script:
        "../scripts/tabulate_corpus.py"


rule plot_ledger:
    """Draw the pages and lines kept and dropped in each language."""
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
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        code=code_of("plot_ledger"),
    script:
        "../scripts/plot_ledger.py"
