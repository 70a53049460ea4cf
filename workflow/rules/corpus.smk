"""dumps -> <results>/corpus/{lang}/sentences.txt, <results>/vocabulary: text and the pieces it is made of."""


rule extract_articles:
    """Articles of one language's dumps as JSON lines; redirects, stubs and empty pages are counted and left out."""
    input:
        dumps=dumps_of,
    output:
        articles="<results>/corpus/{lang}/articles.jsonl",
        stats="<results>/corpus/{lang}/articles.stats.json",
    log:
        "<logs>/extract_articles/{lang}.log",
    benchmark:
        "<benchmarks>/extract_articles/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 2
    resources:
        mem_mb=mem_for_input(2, 1000),
        runtime=lambda wildcards, input, attempt: attempt
        * (10 + int(input.size_mb / 10)),
    params:
        options=config["extraction"],
        code=code_of("extract_articles"),
    script:
        "../scripts/extract_articles.py"


rule split_sentences:
    """One sentence a line, a blank line between articles."""
    input:
        articles="<results>/corpus/{lang}/articles.jsonl",
    output:
        sentences="<results>/corpus/{lang}/sentences.txt",
        stats="<results>/corpus/{lang}/sentences.stats.json",
    log:
        "<logs>/split_sentences/{lang}.log",
    benchmark:
        "<benchmarks>/split_sentences/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=lambda wildcards, input, attempt: attempt
        * (10 + int(input.size_mb / 60)),
    params:
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
