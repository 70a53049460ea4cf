"""<results>/corpus/{lang}/sentences.txt -> <results>/tokens, <results>/records: instances, also held out."""


include: "functions/records.smk"


rule tokenize_corpus:
    """Encode one language's text as arrays of tokens for the records of all phases, and hold documents out."""
    input:
        sentences="<results>/corpus/{lang}/sentences.txt",
        checked=ancient("<results>/corpus/{lang}/checked.json"),
        tokenizer="<results>/vocabulary",
    output:
        tokens=directory("<results>/tokens/{lang}"),
        held_out=directory("<results>/held_out/tokens/{lang}"),
    log:
        "<logs>/tokenize_corpus/{lang}.log",
    benchmark:
        "<benchmarks>/tokenize_corpus/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=growing(tokenizing_mb),
        runtime=minutes_for_input(200),
        disk_mb=disk_for_input(4),
        unknown_words=UNKNOWN_WORDS,
    params:
        options={
            "share": config["records"]["held_out_share"],
            "most": config["records"]["held_out_documents"],
            "seed": config["seed"],
        },
        code=code_of("tokenize_corpus"),
    script:
        "../scripts/tokenize_corpus.py"


rule make_records:
    """Write TFRecords of one language at the sequence length of one phase, for training or held out, with counts."""
    input:
        tokens="<results>/{part}tokens/{lang}",
        tokenizer="<results>/vocabulary",
    output:
        records=directory("<results>/{part}records/phase_{phase}/{lang}"),
    log:
        "<logs>/make_records/{part}phase_{phase}.{lang}.log",
    benchmark:
        "<benchmarks>/make_records/{part}phase_{phase}.{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=growing(tokenizing_mb),
        runtime=minutes_for_input(100),
        disk_mb=disk_for_input(5 * config["records"]["dupe_factor"]),
    params:
        options=lambda wildcards: {
            **RECORDS,
            **({"dupe_factor": 1, "shards": 1} if wildcards.part else {}),
            "max_seq_length": phase_of(wildcards)["max_seq_length"],
            "max_predictions": phase_of(wildcards)["max_predictions"],
            "languages": config["languages"],
            "seed": config["seed"],
        },
        code=code_of("make_records"),
    script:
        "../scripts/make_records.py"


rule plot_corpus:
    """Draw corpus sizes and the sampling ratio of each language."""
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
    group:
        "figures"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        **SMALL,
    params:
        languages=config["languages"],
        options=sampling(),
        code=code_of("plot_corpus"),
    script:
        "../scripts/plot_corpus.py"
