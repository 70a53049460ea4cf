"""<results>/corpus/{lang}/sentences.txt -> <results>/tokens, <results>/records: tokens and pretraining instances."""


rule tokenize_corpus:
    """One language's text as arrays of tokens on disk, which the records of all phases are made from."""
    input:
        sentences="<results>/corpus/{lang}/sentences.txt",
        checked=ancient("<results>/corpus/{lang}/checked.json"),
        tokenizer="<results>/vocabulary",
    output:
        tokens=directory("<results>/tokens/{lang}"),
    log:
        "<logs>/tokenize_corpus/{lang}.log",
    benchmark:
        "<benchmarks>/tokenize_corpus/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=minutes_for_input(200),
        disk_mb=disk_for_input(2),
    params:
        code=code_of("tokenize_corpus"),
    script:
        "../scripts/tokenize_corpus.py"


rule make_records:
    """TFRecords of one language at the sequence length of one phase, with counted statistics."""
    input:
        tokens="<results>/tokens/{lang}",
        tokenizer="<results>/vocabulary",
    output:
        records=directory("<results>/records/phase_{phase}/{lang}"),
    log:
        "<logs>/make_records/phase_{phase}.{lang}.log",
    benchmark:
        "<benchmarks>/make_records/phase_{phase}.{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=minutes_for_input(100),
        disk_mb=disk_for_input(5 * config["records"]["dupe_factor"]),
    params:
        options=lambda wildcards: {
            **config["records"],
            "max_seq_length": phase_of(wildcards)["max_seq_length"],
            "max_predictions": phase_of(wildcards)["max_predictions"],
            "languages": config["languages"],
            "seed": config["seed"],
        },
        code=code_of("make_records"),
    script:
        "../scripts/make_records.py"
