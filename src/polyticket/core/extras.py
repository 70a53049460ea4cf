"""Optional dependencies: which extra of the package installs a module that is missing."""

EXTRAS = {
    "corpus": ("defusedxml", "regex", "sentencex", "wikiextractor"),
    "report": ("matplotlib", "pygments"),
    "tensorflow": ("botocore", "tensorflow"),
    "torch": (
        *("datasets", "faiss", "huggingface_hub", "onnx", "onnxruntime", "pyarrow", "scipy", "sentencepiece"),
        *("seqeval", "sklearn", "tokenizers", "torch", "transformers"),
    ),
}
"""Extra to the modules that it installs. What several extras install stands with one of them."""


def missing_message(error: ModuleNotFoundError) -> str | None:
    """One line that says which extra has the module of an import that failed; None if no extra has it."""
    module = (error.name or "").partition(".")[0]
    extra = next((name for name, modules in EXTRAS.items() if module in modules), None)
    return extra and f"{module} is not installed; install polyticket[{extra}]"
