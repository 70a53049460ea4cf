"""<results>/dumps -> <results>/corpus/{lang}/sentences.txt, <results>/vocabulary: text and the pieces it is made of."""


rule extract_articles:
    """Articles of one piece of a language's dumps as JSON lines, and what was left out."""
    input:
        dumps=dumps_of,
        templates=templates_of,
        end_matter="<results>/corpus/{lang}/end_matter.json",
        kinds="<results>/corpus/{lang}/template_kinds.json",
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
        page_budget=config["extraction"]["page_budget"],
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
            **TEXT_FILTERS,
            "scripts": LANGUAGES[wildcards.lang].scripts,
        },
        page_budget=config["extraction"]["page_budget"],
        code=code_of("split_sentences"),
    script:
        "../scripts/split_sentences.py"


rule check_text:
    """Stop where too much markup is left; what follows takes this as `ancient`, so another threshold redoes nothing."""
    input:
        ledger="<results>/corpus/{lang}/ledger.json",
    output:
        checked="<results>/corpus/{lang}/checked.json",
    log:
        "<logs>/check_text/{lang}.log",
    benchmark:
        "<benchmarks>/check_text/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        most_leftover=config["text"]["most_leftover"],
        code=code_of("check_text"),
    script:
        "../scripts/check_text.py"


rule build_vocabulary:
    """The model's tokenizer: trained on the corpus, or taken from a file or a Hugging Face tokenizer."""
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
        mem_mb=vocabulary_mb,
        runtime=minutes_for_input(20),
    params:
        options=config["vocabulary"] | {"path": vocabulary_path()},
        code=code_of("build_vocabulary"),
    script:
        "../scripts/build_vocabulary.py"
