"""Inputs, parameters and resources of the rules in records.smk."""

RECORDS = {key: value for key, value in config["records"].items() if not key.startswith("held_out")}
PRETRAINING = {
    key: value
    for key, value in (config["pretraining"] | {"sampling_ratios": SAMPLING_TABLE}).items()
    if not key.startswith("held_out")
}


def sampling():
    """The keys that decide the sampling ratios."""
    keys = ("sampling_exponent", "sampling_temperature", "sampling_ratios")
    return {key: PRETRAINING[key] for key in keys}


def sampling_table():
    """The CSV file of sampling ratios, where the configuration names one."""
    return [SAMPLING_TABLE] if isinstance(SAMPLING_TABLE, str) else []


def tokenizing_mb(wildcards):
    """Memory to tokenise or mask text: every thread holds the vocabulary."""
    return 1000 + model_size("").vocab_size // 100
