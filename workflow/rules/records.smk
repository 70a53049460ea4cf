"""<results>/corpus/{lang}/sentences.txt -> <results>/records/phase_{phase}/{lang}: pretraining instances."""


rule make_records:
    """TFRecords of one language at the sequence length of one phase, with counted statistics."""
    input:
        sentences="<results>/corpus/{lang}/sentences.txt",
        tokenizer="<results>/vocabulary",
    output:
        records=directory("<results>/records/phase_{phase}/{lang}"),
    log:
        "<logs>/make_records/phase_{phase}.{lang}.log",
    benchmark:
        "<benchmarks>/make_records/phase_{phase}.{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=mem_for_input(30, 1000),
        runtime=lambda wildcards, input, attempt: attempt * (10 + int(input.size_mb)),
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
