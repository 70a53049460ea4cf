"""What each job of a rule has to do, in the units of the table of throughputs, from the sizes of the run."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyticket.config.job_sizes import ModelSize
from polyticket.costs.jobs import Job
from polyticket.costs.sizes import MB, ROOM, Examples, Sizes, updates
from polyticket.pretraining.plan import default_languages_per_step
from polyticket.saliency.methods import METHODS
from polyticket.tasks.table import TASKS

GFLOP, FLOAT, GB = 1e9, 4, 1e9
FORWARD = 1 / 3
"""The share of a training pass that is its forward pass."""
RECORD_BYTES = 7.1
"""Bytes of a record per token."""
USED_TOKENS = 20_000
"""The word embeddings that fine-tuning keeps of a larger vocabulary, about."""
DEVICES = {"mirrored": "gpu", "multiworker": "gpu", "tpu": "tpu"}


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        start: The kind of its start, a key of `start_seconds`.
        amounts: Unit of `per_core_second` to amount.
        device: `gpu` or `tpu` where an accelerator computes what is in `tensorflow_gflop` or `torch_gflop`.
        stored_gb: GB written to the store.
        fetched_gb: GB read from the store.
        disk_gb: GB of results that it leaves on disk.
    """

    start: str = "plain"
    amounts: Mapping[str, float] = field(default_factory=dict)
    device: str | None = None
    stored_gb: float = 0.0
    fetched_gb: float = 0.0
    disk_gb: float = 0.0


Model = Callable[[Job, Sizes], Work]
MODELS: dict[str, Model] = {}
"""Rule to the model of its work. Rules in `STARTS` alone do little more than start."""
STARTS = {
    **dict.fromkeys(("check_text", "summarize_seeds", "allocate_ticket", "score_random"), "plain"),
    **dict.fromkeys(("tabulate_corpus", "tabulate_conflict", "tabulate_scores", "tabulate_zero_shot"), "packages"),
    **dict.fromkeys(("tabulate_transfer", "tabulate_levels", "find_winning", "score_baseline"), "packages"),
    **dict.fromkeys(("compare_runs", "compare_subnetworks", "compare_with_distances"), "packages"),
    "make_mask": "torch",
}


def work_of(job: Job, sizes: Sizes, *, gpu: bool = False) -> Work:
    """What a job has to do.

    Args:
        job: The job.
        sizes: Of its run.
        gpu: Whether jobs in PyTorch have a GPU.
    """
    model = MODELS.get(job.rule)
    if model is None:
        return Work(STARTS.get(job.rule, "packages" if job.rule.startswith("plot_") else "plain"))
    work = model(job, sizes)
    if gpu and "torch_gflop" in work.amounts:
        return Work(work.start, work.amounts, "gpu", work.stored_gb, work.fetched_gb, work.disk_gb)
    return work


def is_modelled(rule: str) -> bool:
    """Whether the work of a rule is known."""
    return rule in MODELS or rule in STARTS or rule.startswith("plot_")


def models(*rules: str) -> Callable[[Model], Model]:
    """Register a function as the model of rules."""

    def register(model: Model) -> Model:
        MODELS.update(dict.fromkeys(rules, model))
        return model

    return register


@models("download_dumps")
def _download(job: Job, sizes: Sizes) -> Work:
    return Work(disk_gb=sizes.packed_mb(job.wildcards["lang"]) * MB / GB)


@models("collect_templates")
def _templates(job: Job, sizes: Sizes) -> Work:
    xml = sizes.xml_mb[job.wildcards["lang"]]
    return Work(amounts={"template_mb": xml}, disk_gb=0.02 * xml * MB / GB)


@models("extract_articles")
def _articles(job: Job, sizes: Sizes) -> Work:
    lang, ranges = job.wildcards["lang"], job.params["ranges"]
    return Work(
        amounts={"article_mb": sizes.xml_mb[lang] / ranges}, disk_gb=1.2 * sizes.text_mb(lang) / ranges * MB / GB
    )


@models("split_sentences")
def _sentences(job: Job, sizes: Sizes) -> Work:
    text = sizes.text_mb(job.wildcards["lang"])
    return Work(amounts={"sentence_mb": text}, disk_gb=text * MB / GB)


@models("build_vocabulary")
def _vocabulary(job: Job, sizes: Sizes) -> Work:
    options = job.params["options"]
    if options["source"] != "train":
        return Work()
    most = options["sentences_per_language"]
    read = (sizes.text_mb(lang) for lang in sizes.config["languages"])
    return Work(amounts={"vocabulary_mb": sum(min(text, (most or math.inf) * 150 / MB) for text in read)})


@models("tokenize_corpus")
def _tokens(job: Job, sizes: Sizes) -> Work:
    lang, width = job.wildcards["lang"], 2 if sizes.model().vocab_size <= 2**16 else 4
    return Work(amounts={"token_mb": sizes.text_mb(lang)}, disk_gb=1.2 * width * sizes.tokens(lang) / GB)


@models("make_records")
def _records(job: Job, sizes: Sizes) -> Work:
    options, share = job.params["options"], sizes.held_out_share()
    length = options["max_seq_length"]
    made = sizes.instances(job.wildcards["lang"], length, options["dupe_factor"])
    made *= share if job.wildcards["part"] else 1 - share
    return Work(amounts={"instances": made}, disk_gb=RECORD_BYTES * length * made / GB)


@models("make_initial_model")
def _initial(job: Job, sizes: Sizes) -> Work:
    return Work(disk_gb=_weights_gb(sizes.model(job.wildcards["run"])))


@models("score_saliency", "score_bake_off")
def _saliency(job: Job, sizes: Sizes) -> Work:
    size, phase, options = sizes.model(job.wildcards.get("run", "")), _phases(sizes)[0], job.params["options"]
    names = job.params.get("methods") or [job.wildcards["saliency"]]
    read = [METHODS[name] for name in names if METHODS[name].reads == "records"]
    if not read:
        return Work("torch")
    passes = 1 + 2 * (max(method.passes for method in read) - 1)  # the second pass is that of second derivatives
    length = phase["max_seq_length"]
    tokens = passes * options["token_budget"] / ROOM
    flop = size.training_operations(tokens, length, predicted_share=phase["max_predictions"] / length)
    return Work(
        "torch",
        {"torch_gflop": flop / GFLOP, "torch_layers": size.num_hidden_layers * tokens / length / options["batch_size"]},
    )


@models("build_checkpoint")
def _checkpoint(job: Job, sizes: Sizes) -> Work:
    size = sizes.model(job.wildcards["run"])
    return Work("tensorflow", disk_gb=_initial_gb(size, sizes))


@models("upload_checkpoint")
def _upload(job: Job, sizes: Sizes) -> Work:
    return Work("plain", stored_gb=_initial_gb(sizes.model(job.wildcards["run"]), sizes))


@models("pretrain_phase")
def _pretrain(job: Job, sizes: Sizes) -> Work:
    number, options = int(job.wildcards["phase"]), sizes.config["pretraining"]
    size, settings = sizes.model(job.wildcards["run"]), sizes.settings(job.wildcards["run"])
    phase, steps = _phases(sizes)[number - 1], _steps(sizes, number)
    length, batch = phase["max_seq_length"], options["batch_size"]
    share = phase["max_predictions"] / length
    flop = size.training_operations(steps * batch * length, length, predicted_share=share)
    if options["compute"] == "compact" and settings["mask_method"] != "constant":
        flop *= settings["remain_ratio"]
    passes = 1 + (options["conflict"]["mode"] != "none")  # sums of gradients and updates are as large as the weights
    amounts = {
        "tensorflow_gflop": flop / GFLOP,
        "tensorflow_layers": size.num_hidden_layers * steps * _parts(options),
        "tensorflow_parameters": passes * steps * size.parameters(),
    }
    saved = _full_gb(size, sizes)
    before = saved if number > 1 else _initial_gb(size, sizes)
    saves = math.ceil(steps / options["save_steps"])
    device = DEVICES.get(options["distribution"])
    return Work("graph", amounts, device, stored_gb=saves * saved, fetched_gb=before)


@models("score_held_out")
def _held_out(job: Job, sizes: Sizes) -> Work:
    size, phase = sizes.model(job.wildcards["run"]), _phases(sizes)[int(job.wildcards["phase"]) - 1]
    length, most = phase["max_seq_length"], sizes.config["pretraining"]["held_out_instances"]
    share = sizes.held_out_share()
    scored = sum(min(most, share * sizes.instances(lang, length)) for lang in sizes.config["languages"])
    predicted = phase["max_predictions"] / length
    flop = FORWARD * size.training_operations(scored * length, length, predicted_share=predicted)
    return Work("tensorflow", {"tensorflow_gflop": flop / GFLOP}, fetched_gb=_full_gb(size, sizes))


@models("convert_model")
def _convert(job: Job, sizes: Sizes) -> Work:
    size = sizes.model(job.wildcards["run"])
    return Work("packages", fetched_gb=_full_gb(size, sizes), disk_gb=_initial_gb(size, sizes))


@models("export_language")
def _export(job: Job, sizes: Sizes) -> Work:
    return Work("torch", disk_gb=_weights_gb(sizes.model(job.wildcards["run"])))


@models("load_task")
def _load(job: Job, sizes: Sizes) -> Work:
    lang = job.wildcards["lang"]
    given = sum(job.given.values()) / MB
    return Work(amounts={"example_mb": sizes.text_mb(lang) if TASKS[job.wildcards["task"]].of_corpus else given})


@models("finetune_task")
def _finetune(job: Job, sizes: Sizes) -> Work:
    options, task, lang = job.params["options"], job.wildcards["task"], job.wildcards["lang"]
    train, dev, test = (sizes.examples(task, lang, split) for split in ("train", "dev", "test"))
    size = sizes.model(job.wildcards["run"], job.params["source"])
    steps = updates(train.count, options)
    evaluations = math.ceil(steps / options["save_steps"])
    tuned = _tuning(size, task, options, steps, train)
    scored = _scoring(size, task, options, dev, evaluations), _scoring(size, task, options, test)
    encoded = {"windows": train.count + dev.count + test.count}
    keeps = sizes.config["finetuning"]["keep_models"]
    return Work("torch", _sum(tuned, *scored, encoded), disk_gb=keeps * _weights_gb(size))


@models("score_zero_shot")
def _zero_shot(job: Job, sizes: Sizes) -> Work:
    options, task = job.params["options"], job.wildcards["task"]
    size = sizes.model(job.wildcards["run"], job.params["source"])
    tests = [sizes.examples(task, lang, "test") for lang in job.params["targets"]]
    scored = [_scoring(size, task, options, test) for test in tests]
    return Work("torch", _sum(*scored, {"windows": sum(test.count for test in tests)}))


@models("find_subnetworks", "finetune_subnetwork")
def _subnetworks(job: Job, sizes: Sizes) -> Work:
    options, task, search = job.params["options"], job.wildcards["task"], job.params.get("search")
    rounds: int = search["levels"] if search else 1
    steps: int = search["steps_per_round"] if search else job.params["steps"]
    source = job.wildcards["source"]
    langs = sizes.config["subnetworks"]["mixes"].get(source, [source])
    splits = {
        split: _joined([sizes.examples(task, lang, split) for lang in langs]) for split in ("train", "dev", "test")
    }
    size = sizes.model("", job.params["source"])
    tuned = _tuning(size, task, options, rounds * steps, splits["train"])
    scored = [_scoring(size, task, options, splits[split], rounds) for split in ("dev", "test")]
    encoded = {"windows": sum(split.count for split in splits.values())}
    masks = rounds * size.num_hidden_layers * size.layer_weights() / 8 if search else 0
    return Work("torch", _sum(tuned, *scored, encoded), disk_gb=masks / GB)


@models("score_retrieval")
def _retrieval(job: Job, sizes: Sizes) -> Work:
    options, size = sizes.config["subnetworks"]["retrieval"], sizes.model("", job.params["source"])
    texts = {path: count for path, count in job.given.items() if path.endswith(".txt")}
    sentences = min(options["sentences"] or math.inf, sum(texts.values()) / 2 / 40)
    length = min(options["max_seq_length"], 16)
    flop = FORWARD * size.training_operations(2 * sentences * length, length)
    near = 2 * len(options["margins"]) * sentences**2 * size.hidden_size * (size.num_hidden_layers + 1)
    layers = FORWARD * size.num_hidden_layers * 2 * sentences / options["batch_size"]
    return Work("torch", {"torch_gflop": (flop + near) / GFLOP, "torch_layers": layers})


def _phases(sizes: Sizes) -> list[Mapping[str, Any]]:
    phases: list[Mapping[str, Any]] = sizes.config["pretraining"]["phases"]
    return phases


def _steps(sizes: Sizes, number: int) -> int:
    """The steps of a phase, counted from 1."""
    ends = [0, *(int(phase["until_step"]) for phase in _phases(sizes))]
    return ends[number] - ends[number - 1]


def _parts(options: Mapping[str, Any]) -> int:
    """The passes of a step: of each language, in micro-batches."""
    parts = options["languages_per_step"] or default_languages_per_step(options["batch_size"])
    return int(parts * options["accumulation"])


def _weights_gb(size: ModelSize) -> float:
    return FLOAT * size.parameters() / GB


def _initial_gb(size: ModelSize, sizes: Sizes) -> float:
    """A checkpoint of weights and masks."""
    return _weights_gb(size) + FLOAT * sizes.mask_values(size) / GB


def _full_gb(size: ModelSize, sizes: Sizes) -> float:
    """A checkpoint with the two moments of the optimiser."""
    return _initial_gb(size, sizes) + 2 * _weights_gb(size)


def _tuning(size: ModelSize, task: str, options: Mapping[str, Any], steps: int, train: Examples) -> dict[str, float]:
    """The work of so many updates in PyTorch."""
    windows = options["batch_size"] * options["accumulation"]
    return {
        "torch_gflop": _flop(size, task, options, steps * windows, train.tokens) / GFLOP,
        "torch_layers": float(size.num_hidden_layers * steps * options["accumulation"]),
        "torch_parameters": float(steps * _tuned_parameters(size)),
    }


def _scoring(
    size: ModelSize, task: str, options: Mapping[str, Any], split: Examples, times: int = 1
) -> dict[str, float]:
    """The work of predictions for a split in PyTorch."""
    windows = times * split.count
    return {
        "torch_gflop": FORWARD * _flop(size, task, options, windows, split.tokens) / GFLOP,
        "torch_layers": FORWARD * size.num_hidden_layers * windows / options["eval_batch_size"],
    }


def _flop(size: ModelSize, task: str, options: Mapping[str, Any], windows: float, tokens: float) -> float:
    read = min(tokens, options["max_seq_length"])
    share = options["mlm_probability"] if TASKS[task].of_corpus else 0.0
    return size.training_operations(windows * read, round(read), predicted_share=share)


def _tuned_parameters(size: ModelSize) -> int:
    used = min(size.vocab_size, USED_TOKENS) * size.hidden_size
    return size.num_hidden_layers * size.layer_weights() + used


def _joined(parts: list[Examples]) -> Examples:
    count = sum(part.count for part in parts)
    return Examples(count, sum(part.count * part.tokens for part in parts) / max(1, count))


def _sum(*parts: Mapping[str, float]) -> dict[str, float]:
    """Amounts added up by unit."""
    units = dict.fromkeys(unit for part in parts for unit in part)
    return {unit: sum(part.get(unit, 0.0) for part in parts) for unit in units}
