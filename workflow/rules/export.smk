"""The last checkpoint at the store -> <results>/model, <results>/export/{lang}: Hugging Face model folders."""


rule convert_model:
    """Convert the pretrained checkpoint to a Hugging Face model folder, masks included, bit for bit."""
    input:
        receipt=f"<results>/{{run}}pretraining/phase_{len(PHASES)}.json",
        tokenizer="<results>/vocabulary",
    output:
        model=directory("<results>/{run}model"),
    log:
        "<logs>/{run}convert_model.log",
    benchmark:
        "<benchmarks>/{run}convert_model.tsv"
    retries: 2
    conda:
        "../../envs/tensorflow.yaml"
    threads: 1
    resources:
        mem_mb=growing(mem_for_model(base_mb=2000, weights=8)),
        runtime=60,
        disk_mb=mem_for_model(base_mb=200, weights=8, masks=2),
    params:
        code=code_of("convert_model"),
    script:
        "../scripts/convert_model.py"


rule export_language:
    """Export one language's ticket as a model of its own, folded, compact or ONNX, with a model card."""
    input:
        model="<results>/{run}model",
        sentences="<results>/corpus/{lang}/sentences.txt",
        corpus=("<results>/corpus/{lang}/sentences.txt" if config["export"]["vocabulary"] == "corpus" else []),
    output:
        model=directory("<results>/{run}export/{lang}"),
    log:
        "<logs>/{run}export_language/{lang}.log",
    benchmark:
        "<benchmarks>/{run}export_language/{lang}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["threads"]["finetuning"]
    resources:
        mem_mb=growing(mem_for_model(base_mb=2000, weights=8)),
        runtime=30,
        disk_mb=disk_for_input(4),
    params:
        options=config["export"],
        compute_threads=config["threads"]["finetuning"],
        code=code_of("export_language"),
    script:
        "../scripts/export_language.py"
