"""What jobs need: memory, disk and minutes that grow with their inputs."""

from os.path import exists, getsize

from polyticket.dumps.pieces import dump_files
from polyticket.model.hub import is_place
from polyticket.model.weight_files import weight_files


def mem_for_input(factor, base_mb):
    """A resource function: so many MB, and `factor` times the size of the input."""
    return lambda wildcards, input: int(base_mb + factor * input.size_mb)


def disk_for_input(factor):
    """A resource function: MB of disk, `factor` times the size of the input and a little more."""
    return lambda wildcards, input: int(100 + factor * input.size_mb)


def minutes_for_input(mb_per_minute):
    """A resource function: minutes for work that does so many MB of input a minute, more at each attempt."""
    return lambda wildcards, input, attempt: attempt * (
        10 + int(input.size_mb / mb_per_minute)
    )


def scaled(key):
    """A width of the scaled model."""
    model = config["model"]
    heads = model["scaled_heads"] or model["num_attention_heads"]
    return model[key] * heads // model["num_attention_heads"]


def layer_parameters():
    """The weights of the matrices of one layer of the scaled model."""
    width = scaled("hidden_size")
    return 4 * width * width + 2 * width * scaled("intermediate_size")


def parameter_mb():
    """MB of the float32 weights of the scaled model, roughly."""
    layers = config["model"]["num_hidden_layers"] * layer_parameters()
    words = config["vocabulary"]["size"] * scaled("hidden_size")
    return 4 * (layers + words) // 2**20


def conflict_mb():
    """MB of the sums per language, where conflict is measured: of updates and gradients, as they are added and read."""
    conflict, model = config["pretraining"]["conflict"], config["model"]
    layers = len(conflict["layers"] or range(model["num_hidden_layers"]))
    values = {
        "none": 0,
        "sketch": conflict["width"],
        "exact": layers * layer_parameters(),
    }
    return 6 * 4 * len(config["languages"]) * values[conflict["mode"]] // 2**20


def megabytes(paths):
    """The size of files that are there; of downloaded dumps if their receipt is given."""
    files = dump_files(filter(exists, paths))
    return sum(map(getsize, filter(exists, files))) / 10**6


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
    text = input.size_mb if most is None else len(config["languages"]) * most * 300e-6
    return int(2000 + 4 * min(text, input.size_mb))


def finetuning_mb(wildcards, input):
    """Memory to fine-tune the model of a run: more for more examples."""
    return weights_mb(finetuned_source(wildcards)) + examples_mb(input)


def examples_mb(input):
    """Memory for examples and windows."""
    found = [path for path in input if path.endswith(".arrow") and exists(path)]
    return 8 * sum(map(getsize, found)) // 2**20


def weights_mb(source):
    """Memory for weights, gradients, two moments and the best step's weights, of our model (None) or a given one."""
    if source is None:
        return 3000 + 8 * parameter_mb()
    if not is_place(source):
        return 3000 + 8 * 1200
    return 3000 + 8 * (sum(map(getsize, weight_files(source))) // 2**20)
