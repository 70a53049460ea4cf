"""What jobs need: memory, disk and minutes that grow with their inputs."""

import math
from dataclasses import replace
from functools import cache
from os.path import exists, getsize, isdir

from polyticket.conflict.settings import Settings, values_per_language
from polyticket.dumps.dump import dump_files
from polyticket.core.files import visible_files
from polyticket.config.job_sizes import ModelSize, folder_size, guessed_size, minutes, vocabulary_size
from polyticket.model.hub import is_place
from polyticket.pretraining.parts import usual_parts


def size_mb(paths):
    """MB of files, and of all that is in directories; Snakemake asks again later if one is not there yet.

    `input.size_mb` takes a directory for a small file, and starts an event loop for every job.
    """
    files = []
    for path in paths:
        files += [file for _, file in visible_files(path)] if isdir(path) else [path]
    return sum(map(getsize, files)) / 2**20


def mem_for_input(factor, base_mb):
    """A resource function: so many MB, and `factor` times the size of the input."""
    return lambda wildcards, input: int(base_mb + factor * size_mb(input))


def disk_for_input(factor):
    """A resource function: MB of disk, `factor` times the size of the input and a little more."""
    return lambda wildcards, input: int(100 + factor * size_mb(input))


def minutes_for_input(mb_per_minute):
    """A resource function: minutes for work that does so many MB of input a minute, more at each attempt."""
    return lambda wildcards, input, attempt: attempt * (10 + int(size_mb(input) / mb_per_minute))


@cache
def model_size(run, source=None):
    """The sizes of the model that a run pretrains (null), of one in a folder, or what is guessed of a Hugging Face name."""
    if source is not None:
        return folder_size(source) if is_place(source) else guessed_size(source)
    model, vocabulary = settings_of(run)["model"], config["vocabulary"]
    heads = model["num_attention_heads"]
    by = model["scaled_heads"] or heads
    trained = vocabulary["source"] == "train"
    return ModelSize(
        hidden_size=model["hidden_size"] * by // heads,
        num_hidden_layers=model["num_hidden_layers"],
        num_attention_heads=by,
        intermediate_size=model["intermediate_size"] * by // heads,
        vocab_size=(vocabulary["size"] if trained else vocabulary_size(vocabulary_path())),
    )


def size_of(wildcards):
    """The sizes of the model that the run of the wildcards pretrains; without a run in them, the main run."""
    return model_size(wildcards.get("run", ""))


def mem_for_model(base_mb, weights, masks=0):
    """A resource function: so many MB, and multiples of the weights and masks of the run's model."""
    return lambda wildcards: (
        base_mb + weights * size_of(wildcards).parameter_mb() + masks * masks_mb(size_of(wildcards))
    )


def tokenizing_mb(wildcards):
    """Memory to tokenise or mask text: every thread holds the vocabulary."""
    return 1000 + model_size("").vocab_size // 100


def masks_mb(size):
    """MB of float32 values for every language and every neuron that masks can prune."""
    neurons = size.num_hidden_layers * (3 * size.hidden_size + size.intermediate_size)
    return 4 * len(config["languages"]) * neurons // 2**20


def allocation_mb(wildcards):
    """Memory to choose a ticket: all languages' scores, sorted and ranked."""
    return 1000 + 12 * masks_mb(size_of(wildcards))


def saliency_mb(wildcards):
    """Memory to score a language: weights, gradients and sums, and what batches leave for the backward pass."""
    phase, options, size = PHASES[0], SALIENCY_OPTIONS, size_of(wildcards)
    at_once = options["batches_at_once"] if options["batches_at_once"] != "auto" else 1
    batch = at_once * options["batch_size"]
    return (
        2000
        + 8 * size.parameter_mb()
        + size.activation_mb(
            batch,
            phase["max_seq_length"],
            predictions=batch * phase["max_predictions"],
        )
    )


def saliency_minutes(passes):
    """A resource function: minutes to score a language, so many passes over its batches."""

    def asked(wildcards):
        phase = PHASES[0]
        operations = passes * size_of(wildcards).training_operations(
            SALIENCY_OPTIONS["token_budget"],
            phase["max_seq_length"],
            predicted_share=phase["max_predictions"] / phase["max_seq_length"],
        )
        return minutes(
            operations,
            threads=config["threads"]["saliency"],
            accelerated=False,
            most=24 * 60,
        )

    return asked


def is_spread():
    """Whether pretraining is on GPUs or a TPU by its configuration; they hold what a step computes."""
    return config["pretraining"]["distribution"] != "default"


def pretraining_mb(wildcards):
    """Memory to pretrain: weights, optimiser, gradients and a checkpoint, what a step computes, and sums of conflict."""
    phase, options = phase_of(wildcards), config["pretraining"]
    batch = -(-options["batch_size"] // (step_parts() * options["accumulation"]))
    size = size_of(wildcards)
    step = size.activation_mb(batch, phase["max_seq_length"], predictions=batch * phase["max_predictions"])
    return 3000 + 12 * size.parameter_mb() + 2 * masks_mb(size) + conflict_mb(size) + (0 if is_spread() else step)


def pretraining_minutes(wildcards):
    """Minutes for the steps of a phase."""
    phase, index = phase_of(wildcards), int(wildcards.phase) - 1
    steps = phase["until_step"] - (PHASES[index - 1]["until_step"] if index else 0)
    length = phase["max_seq_length"]
    operations = size_of(wildcards).training_operations(
        steps * config["pretraining"]["batch_size"] * length,
        length,
        predicted_share=phase["max_predictions"] / length,
    )
    return minutes(
        operations,
        threads=config["threads"]["pretraining"],
        accelerated=is_spread(),
        most=7 * 24 * 60,
        least=60,
    )


def held_out_mb(wildcards):
    """Memory to score held-out records: a checkpoint with its optimiser, and what a batch computes in a layer."""
    phase, size = phase_of(wildcards), size_of(wildcards)
    batch = max(1, min(64, 2**26 // (phase["max_predictions"] * size.vocab_size)))
    computed = size.reading_mb(batch, phase["max_seq_length"], predictions=batch * phase["max_predictions"])
    return 3000 + 8 * size.parameter_mb() + 2 * masks_mb(size) + computed


def held_out_minutes(wildcards):
    """Minutes to score the held-out records of all languages."""
    length = phase_of(wildcards)["max_seq_length"]
    records = len(config["languages"]) * config["pretraining"]["held_out_instances"]
    operations = size_of(wildcards).training_operations(records * length / 3, length)
    return minutes(
        operations,
        threads=config["threads"]["pretraining"],
        accelerated=False,
        most=24 * 60,
    )


def conflict_mb(size):
    """MB where conflict is measured: of the sums per language as they are added and read, and of parts' gradients."""
    conflict = Settings.of(config["pretraining"]["conflict"])
    sizes = (size.num_hidden_layers, size.hidden_size, size.intermediate_size)
    values = values_per_language(conflict, *sizes)
    parts = step_parts()
    kept = parts * values_per_language(replace(conflict, mode="exact"), *sizes)
    kept = kept if parts > 1 and values else 0
    return 4 * (10 * len(config["languages"]) * values + kept) // 2**20


def step_parts():
    """Languages per step."""
    options = config["pretraining"]
    return options["languages_per_step"] or usual_parts(options["batch_size"])


def megabytes(paths):
    """The size of files that are there; of downloaded dumps if their receipt is given."""
    files = dump_files(filter(exists, paths))
    return sum(getsize(file) for file in files if exists(file)) / 10**6


def templates_minutes(wildcards, input, attempt):
    """Minutes to collect templates, at 600 MB of packed dumps a minute on all threads."""
    return attempt * (10 + int(megabytes(input.dumps) / 600))


def extraction_mb(wildcards, input):
    """Memory to extract a piece: every process holds all templates."""
    held = [path for path in input if path.endswith("templates.xml")]
    return int(1500 + 4 * megabytes(held))


def extraction_minutes(wildcards, input, attempt):
    """Minutes to extract a piece, at 20 MB of a packed dump a minute."""
    return attempt * (10 + int(megabytes(input.dumps) / pieces_of(wildcards.lang) / 20))


def extraction_disk_mb(wildcards, input):
    """Disk for the articles of a piece."""
    return int(100 + 5 * megabytes(input.dumps) / pieces_of(wildcards.lang))


def vocabulary_mb(wildcards, input):
    """Memory to train a vocabulary: every distinct word, of all text or of so many sentences per language."""
    most = config["vocabulary"]["sentences_per_language"]
    text = size_mb(input) if most is None else len(config["languages"]) * most * 300e-6
    return int(2000 + 4 * min(text, size_mb(input)))


def finetuning_mb(wildcards, input):
    """Memory to fine-tune the model of a run: more for longer windows, larger batches and more examples."""
    size = model_size(wildcards.run, finetuned_source(wildcards))
    return training_mb(size, wildcards.task, finetuning_options(wildcards), input)


def subnetwork_mb(options_of):
    """A resource function: memory to train under masks with the options that a function of wildcards gives."""

    def asked(wildcards, input):
        size, options = model_size("", subnetwork_source(wildcards)), options_of(wildcards)
        trained = training_mb(size, wildcards.task, options, input)
        return 2 * size.parameter_mb() + trained

    return asked


def masks_mb_of_model(wildcards):
    """Memory for the weights of a model, and masks of them as float32 and as bits."""
    return 2000 + 4 * model_size("", subnetwork_source(wildcards)).parameter_mb()


def retrieval_mb(wildcards, input):
    """Memory for the states of sentences in every layer: the encoder, masked, a batch of sentences, and all vectors."""
    size = model_size("", subnetwork_source(wildcards))
    shape = RETRIEVED["batch_size"], RETRIEVED["max_seq_length"]
    states = 4 * math.prod(shape) * size.hidden_size * size.num_hidden_layers // 2**20
    computed = size.reading_mb(*shape)
    sentences = RETRIEVED["sentences"] or getsize(input.source) // 40
    vectors = 8 * sentences * size.hidden_size * (size.num_hidden_layers + 1) // 2**20
    return 2500 + 5 * size.parameter_mb() + states + computed + vectors


def training_mb(size, task, options, input):
    """Memory for weights, gradients, two moments and the best step's weights; for what a batch computes, and examples."""
    batch, length = options["batch_size"], options["max_seq_length"]
    step = size.activation_mb(
        batch,
        length,
        predictions=round(batch * length * predicted_share(task, options)),
    )
    evaluated = size.reading_mb(options["eval_batch_size"], length)
    return 2000 + 8 * size.parameter_mb() + max(step, evaluated) + examples_mb(input)


def predicted_share(task, options):
    """The share of tokens that a task predicts among the whole vocabulary: masked ones."""
    return options["mlm_probability"] if TASKS[task].of_corpus else 0


def examples_mb(input):
    """Memory for examples and windows."""
    found = [path for path in input if path.endswith(".arrow") and exists(path)]
    return 8 * sum(map(getsize, found)) // 2**20


def finetuning_minutes(wildcards, input):
    """Minutes to fine-tune: all epochs, or so many examples as are to be seen, and evaluations on dev and test."""
    options, size = (
        finetuning_options(wildcards),
        model_size(wildcards.run, finetuned_source(wildcards)),
    )
    length, train = options["max_seq_length"], tokens_of(input, "train")
    if options["max_train_examples"] is not None:
        train = min(train, options["max_train_examples"] * length)
    batch = options["batch_size"] * options["accumulation"] * length
    seen = max(options["epochs"] * train, options["adaptive_least_seen"] * length)
    if options["max_steps"] is not None:
        seen = options["max_steps"] * batch
    evaluations = 2 + seen / batch / options["save_steps"]
    return training_minutes(size, wildcards.task, options, seen + evaluations * tokens_of(input, "dev") / 3)


def subnetwork_minutes(steps_of, options_of, rounds=1, most=12 * 60):
    """A resource function: minutes for rounds of training under masks, by steps and options of the wildcards."""

    def asked(wildcards, input):
        options = options_of(wildcards)
        size = model_size("", subnetwork_source(wildcards))
        batch = options["batch_size"] * options["accumulation"]
        length = options["max_seq_length"]
        steps = rounds * steps_of(wildcards)
        seen = steps * batch * length + rounds * tokens_of(input, "dev")
        return training_minutes(size, wildcards.task, options, seen, most=most)

    return asked


def training_minutes(size, task, options, tokens, most=12 * 60):
    """Minutes to train a task on so many tokens."""
    length, share = options["max_seq_length"], predicted_share(task, options)
    operations = size.training_operations(tokens, length, predicted_share=share)
    return minutes(
        operations,
        threads=config["threads"]["finetuning"],
        accelerated=False,
        most=most,
    )


def tokens_of(input, split):
    """How many tokens the examples of a split have at most, at three bytes each; none before they are there."""
    given = input.get(split, [])
    paths = [given] if isinstance(given, str) else given
    return sum(getsize(path) for path in paths if exists(path)) / 3
