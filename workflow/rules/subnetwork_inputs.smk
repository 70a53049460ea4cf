"""Where the inputs of sub-networks are: the model that is pruned, the data of a source, the masks of an origin."""

from itertools import chain

from polyticket.subnetworks.levels import schedule

SUBNETWORKS = config["subnetworks"]
SUBNETWORK_SEEDS = SUBNETWORKS["seeds"] or SEEDS
LEVELS = schedule(SUBNETWORKS["levels"], step=SUBNETWORKS["step"], of=SUBNETWORKS["of"])
SPARSITIES = [level.sparsity for level in LEVELS[1:]]
TRANSFERRED = SUBNETWORKS["transfer_sparsity"] is not None
LEVEL = f"{SUBNETWORKS['transfer_sparsity']:.10g}" if TRANSFERRED else None
PRUNINGS = ["magnitude", *SUBNETWORKS["controls"]]


wildcard_constraints:
    how=r"(?:(?:oneshot|random|component|reinitialized)/)?(?:seed_\d+/)?",
    source="|".join([*config["languages"], *SUBNETWORKS["mixes"]]),
    sparsity=r"\d+(?:\.\d+)?",
    origin=r"(?:full|[a-z]+(?:-[a-z0-9_-]+)?-[\d.]+)(?:-reinitialized)?",
    compared="subnetworks|tickets",


def subnetwork_source(wildcards):
    """The folder or Hugging Face name of the model that is pruned; null for the run's own."""
    own = SUBNETWORKS["model"]
    source, key = (
        (own, "subnetworks.model")
        if own
        else (config["finetune_from"], "finetune_from")
    )
    return None if source is None else model_place(source, key)


def subnetwork_subject(wildcards):
    """The model that is pruned."""
    source = subnetwork_source(wildcards)
    if source is None:
        return {"model": "<results>/model"}
    return {"model": given_files(source)}


def subnetwork_mb(wildcards, input):
    """Memory to train under masks: more for more examples."""
    return weights_mb(subnetwork_source(wildcards)) + examples_mb(input)


def source_splits(wildcards):
    """The examples of a language, or of all languages of a mix, by split."""
    langs = SUBNETWORKS["mixes"].get(wildcards.source, [wildcards.source])
    return {
        split: [
            f"<results>/tasks/{wildcards.task}/{lang}/{split}.arrow" for lang in langs
        ]
        for split in ("train", "dev", "test")
    }


def search_options(wildcards):
    """How sub-networks are looked for."""
    keys = ("steps_per_round", "levels", "step", "of", "rewind_head", "together")
    control = wildcards.how.split("/")[0]
    known = ("oneshot", "random", "component")
    return {
        **{key: SUBNETWORKS[key] for key in keys},
        "pruning": control if control in known else "magnitude",
        "weights": "random" if control == "reinitialized" else "pretrained",
    }


def search_seed(wildcards):
    """The seed that a path names, or the first."""
    named = wildcards.how.rpartition("seed_")[2].rstrip("/")
    return int(named) if named.isdecimal() else SUBNETWORK_SEEDS[0]


def seed_part(seed):
    """The part of a path that a seed takes: none for the first."""
    return "" if int(seed) == SUBNETWORK_SEEDS[0] else f"seed_{seed}/"


def mask_of_origin(wildcards):
    """The sub-network that an origin names, found with the same seed; none of masks that need no search."""
    return subnetwork_file(wildcards.origin, wildcards.seed)


def subnetwork_file(origin, seed):
    """The file that an origin such as `panx-fr-50` or `oneshot-panx-fr-50` names, of the search with a seed."""
    how, _, rest = origin.removesuffix("-reinitialized").partition("-")
    if how in ("full", "magnitude") or rest.replace(".", "").isdecimal():
        return []
    control, task = (f"{how}/", None) if how not in TASKS else ("", how)
    if task is None:
        task, _, rest = rest.partition("-")
    source, _, sparsity = rest.rpartition("-")
    return f"<results>/subnetworks/{control}{seed_part(seed)}{task}/{source}/{sparsity}.safetensors"


def origins():
    """All origins of transfer: the full model, every sub-network at its sparsity, and those that need no search."""
    found = [
        f"{task}-{source}-{LEVEL}"
        for task, sources in SUBNETWORKS["find"].items()
        for source in sources
    ]
    others = [f"magnitude-{LEVEL}", f"random-{LEVEL}", *SUBNETWORKS["transfer_also"]]
    return ["full", *found, *others]


def transfer_targets(task):
    """The languages that are fine-tuned under masks: of a mix all that are in it."""
    found = SUBNETWORKS["find"].get(task) or config["evaluate"][task]
    langs = [SUBNETWORKS["mixes"].get(source, [source]) for source in found]
    return list(dict.fromkeys(chain.from_iterable(langs)))


def found_languages(task):
    """The languages for which sub-networks are found, without mixes."""
    return [
        source for source in SUBNETWORKS["find"][task] if source in config["languages"]
    ]


def transfer_results(wildcards):
    """Every origin, language and seed, in order."""
    return expand(
        "<results>/transfer/{{task}}/{lang}/{origin}/seed_{seed}.json",
        origin=origins(),
        lang=transfer_targets(wildcards.task),
        seed=SUBNETWORK_SEEDS,
    )
