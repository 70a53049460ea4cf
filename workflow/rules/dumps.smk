"""data.dumps -> <results>/dumps, <results>/corpus/{lang}/articles: articles and templates of dumps."""


include: "functions/dumps.smk"


rule download_dumps:
    """Download one language's dumps, resumed after a cut, checked against published sums; write a receipt."""
    output:
        receipt="<results>/dumps/{lang}.json",
    log:
        "<logs>/download_dumps/{lang}.log",
    benchmark:
        "<benchmarks>/download_dumps/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: config["download"]["connections"]
    resources:
        mem_mb=growing(500),
        disk_mb=1000,  # the dumps are not on the disk of the job
        runtime=24 * 60,
        downloads=1,
        contact=config["download"]["contact"] or "",  # no params: these change no result
    params:
        folder=lambda wildcards: download_folder(wildcards.lang),
        options={
            "pattern": dumps_url(),
            **{key: config["download"][key] for key in ("date", "sums_url", "require_sums")},
        },
        code=code_of("download_dumps"),
    script:
        "../scripts/download_dumps.py"


rule collect_templates:
    """Collect a language's template pages and their kinds, and its headings of end matter."""
    input:
        dumps=dumps_of,
    output:
        templates="<results>/corpus/{lang}/templates.xml",
        end_matter="<results>/corpus/{lang}/end_matter.json",
        kinds="<results>/corpus/{lang}/template_kinds.json",
    log:
        "<logs>/collect_templates/{lang}.log",
    benchmark:
        "<benchmarks>/collect_templates/{lang}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=templates_minutes,
        disk_mb=lambda wildcards, input: int(100 + megabytes(input.dumps) / 2),
    params:
        code=code_of("collect_templates"),
    script:
        "../scripts/collect_templates.py"


rule extract_articles:
    """Extract the articles of one byte range of a language's dumps, as JSON lines, and count what is dropped."""
    input:
        dumps=dumps_of,
        templates=templates_of,
        end_matter="<results>/corpus/{lang}/end_matter.json",
        kinds="<results>/corpus/{lang}/template_kinds.json",
    output:
        articles="<results>/corpus/{lang}/articles/{range}.jsonl",
        ledger="<results>/corpus/{lang}/articles/{range}.ledger.json",
    log:
        "<logs>/extract_articles/{lang}.{range}.log",
    benchmark:
        "<benchmarks>/extract_articles/{lang}.{range}.tsv"
    conda:
        "../../envs/corpus.yaml"
    threads: 2
    resources:
        mem_mb=growing(extraction_mb),
        runtime=extraction_minutes,
        disk_mb=extraction_disk_mb,
    params:
        ranges=lambda wildcards: ranges_of(wildcards.lang),
        references=config["extraction"]["references"],
        page_budget=config["extraction"]["page_budget"],
        code=code_of("extract_articles"),
    script:
        "../scripts/extract_articles.py"
