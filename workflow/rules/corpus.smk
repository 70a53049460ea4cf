"""<results>/dumps -> <results>/corpus/{lang}/sentences.txt, <results>/vocabulary: text and the pieces it is made of."""


rule extract_articles:
    """Articles of one piece of a language's dumps as JSON lines, and what was left out."""
    input:
        dumps=dumps_of,
        templates=templates_of,
    output:
        articles="<results>/corpus/{lang}/articles/{piece}.jsonl",
        ledger="<results>/corpus/{lang}/articles/{piece}.ledger.json",
    log:
        "<logs>/extract_articles/{lang}.{piece}.log",
    benchmark:
        "<benchmarks>/extract_articles/{lang}.{piece}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 2
    resources:
        mem_mb=extraction_mb,
        runtime=extraction_minutes,
        disk_mb=extraction_disk_mb,
    params:
        pieces=lambda wildcards: pieces_of(wildcards.lang),
        references=config["extraction"]["references"],
        code=code_of("extract_articles"),
    script:
        "../scripts/extract_articles.py"


rule split_sentences:
    """All pieces of a language: one sentence a line, a blank line between articles; the ledger of its text."""
    input:
        articles=all_pieces("<results>/corpus/{lang}/articles/{piece}.jsonl"),
        ledgers=all_pieces("<results>/corpus/{lang}/articles/{piece}.ledger.json"),
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
        mem_mb=4000,
        runtime=minutes_for_input(60),
        disk_mb=disk_for_input(3),
    params:
        options=lambda wildcards: {
            **config["text"],
            "scripts": LANGUAGES[wildcards.lang].scripts,
        },
        code=code_of("split_sentences"),
    script:
        "../scripts/split_sentences.py"


rule build_vocabulary:
    """The model's tokenizer: trained on the corpus, or taken from a file or a Hugging Face tokenizer."""
    input:
        sentences=(
            expand("<results>/corpus/{lang}/sentences.txt", lang=config["languages"])
            if config["vocabulary"]["source"] == "train"
            else []
        ),
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
        mem_mb=mem_for_input(4, 2000),
        runtime=120,
    params:
        options=config["vocabulary"] | {"path": vocabulary_path()},
        code=code_of("build_vocabulary"),
    script:
        "../scripts/build_vocabulary.py"
