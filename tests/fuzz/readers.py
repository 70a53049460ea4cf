"""Every reader of files from outside: a good file for it, how such files are damaged, and the call."""

import bz2
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from hypothesis import strategies as st

from polyticket.config.completion import complete, read_config
from polyticket.conflict.trace import Trace, read_trace, write_trace
from polyticket.core.files import read_json, write_json
from polyticket.dumps.download import parse_sums
from polyticket.dumps.dump import read_pages, site_of
from polyticket.model.folder import read_model, write_model
from polyticket.model.settings import read_settings
from polyticket.pretraining.checkpoints import read_history
from polyticket.pretraining.sampling import read_ratios
from polyticket.pruning.files import import_mask
from polyticket.records.reading import read_batches
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.tokens import open_tokens
from polyticket.saliency.score_files import Saliency, read_saliency, write_saliency
from polyticket.store.directories import parse_manifest, stored_directory, upload_directory
from polyticket.store.local import LocalStore
from polyticket.tasks.data.loading import load_splits
from polyticket.tasks.example_files import read_examples, write_examples
from polyticket.tasks.examples import Sentence
from polyticket.tasks.predictions import read_predictions
from polyticket.tasks.table import TASKS
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from polyticket.tokenizer.folder import read_tokenizer_json
from polyticket.tokenizer.vocabulary import read_vocabulary
from tests.fuzz import damage
from tests.support.models import TINY, random_batch, trained_model, with_random_masks
from tests.support.records_sample import write_tokenizer

Damage = Callable[[bytes], st.SearchStrategy[bytes]]


class Reader(NamedTuple):
    """A reader: its name, what makes good files in a folder and gives that to damage, the strategy, and the call."""

    name: str
    make: Callable[[Path], Path]
    damaged: Damage
    read: Callable[[Path], Any]


def _written(name: str, content: str | bytes) -> Callable[[Path], Path]:
    """Makes a file of a fixed content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="fr">
  <siteinfo><sitename>Wikipédia</sitename><dbname>frwiki</dbname><base>https://fr.wikipedia.org/wiki/Accueil</base>
    <namespaces><namespace key="0" /><namespace key="10">Modèle</namespace></namespaces></siteinfo>
  <page><title>Âne</title><ns>0</ns><id>3</id><revision><id>7</id><model>wikitext</model>
    <text bytes="20" xml:space="preserve">L'âne est &lt;b&gt;gris&lt;/b&gt;. [[Animal]]</text></revision></page>
  <page><title>Modèle:A</title><id>4</id><redirect title="B" /><revision><text>#REDIRECT [[B]]</text></revision></page>
</mediawiki>
"""
CONFIG = {
    "languages": ["fr", "sw"],
    "data": {"dumps": "dumps/{lang}/*.bz2", "panx": "panx/{lang}"},
    "evaluate": {"panx": ["fr"]},
    "variants": {"other": {"remain_ratio": 0.5}},
    "remain_ratio": 0.75,
    "pretraining": {
        "phases": [{"max_seq_length": 64, "max_predictions": 10, "until_step": 40}],
        "sampling_exponent": 0.7,
    },
    "model": {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3},
    "finetuning": {"seeds": [1, 2], "per_task": {"panx": {"epochs": 2}}},
    "extra_languages": {"xyz": {"name": "Made up", "scripts": ["Latin"]}},
    "pathvars": {"results": "results"},
}
LOSSES = "step,masked_lm_loss,next_sentence_loss,total_loss,learning_rate\n4,6.9,0.7,7.6,0.001\n8,6.5,0.6,7.1,0.0009\n"
TAGGED = "fr:Paris\tB-LOC\nfr:brille\tO\n\nfr:Elle\tO\nfr:dort\tO\n"
CONLLU = "# text = Paris brille\n" + "\n".join(
    "\t".join([str(number), word, "_", tag, "_", "_", "0", "_", "_", "_"])
    for number, (word, tag) in enumerate([("Paris", "PROPN"), ("brille", "VERB")], 1)
)
PAIRS = "Il dort.\tIl est là.\tentailment\nIl dort.\tIl court.\tcontradiction\nIl lit.\tElle lit.\tneutral\n"
ROWS = '{"tokens": ["Paris", "brille"], "ner_tags": ["B-LOC", "O"]}\n{"tokens": ["Elle"], "ner_tags": ["O"]}\n'


def _task(name: str, files: dict[str, str], damaged: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for file, content in files.items():
            _written(file, content)(folder)
        return folder / damaged

    return make


def _splits(pattern: str, content: str) -> dict[str, str]:
    return {pattern.format(split): content for split in ("train", "dev", "test")}


def _read_task(name: str) -> Callable[[Path], Any]:
    return lambda path: load_splits(str(path.parent), TASKS[name], "fr")


def _ticket(folder: Path) -> Path:
    random = np.random.default_rng(1)
    masks = {site: random.random((2, size)) < 0.5 for site, size in (("a.mask", 9), ("b.mask", 16))}
    write_ticket(Ticket(("fr", "sw"), Masks.packed(masks, 2), {"saliency": "snip", "remain_ratio": 0.5}), folder / "t")
    return folder / "t"


def _saliency(folder: Path) -> Path:
    write_saliency(Saliency({"a.mask": np.arange(5.0), "b.mask": np.ones(3)}, {"method": "snip"}), folder / "s")
    return folder / "s"


def _records(folder: Path) -> Path:
    fields = record_fields(16, 3)
    data, offsets = encode_examples(random_batch(), fields)
    shard = folder / shard_name(0, 1)
    shard.write_bytes(b"".join(frame_all(data, offsets)))
    stats = {"language": "fr", "language_index": 0, "languages": ["fr"], "max_seq_length": 16, "max_predictions": 3}
    write_json(folder / "stats.json", stats | {"instances_per_shard": [4]})
    return shard


def _tokens(folder: Path) -> Path:
    arrays = {"ids": np.arange(9, dtype=np.uint16), "sentences": np.array([0, 4, 9]), "documents": np.array([0, 2])}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    write_json(folder / "stats.json", {"dtype": "uint16", "tokens": 9, "sentences": 2, "documents": 1})
    return folder / "sentences.npy"


def _trace(folder: Path) -> Path:
    trace = Trace(("fr", "sw"), {"mode": "sketch", "width": 8, "seed": 1, "layers": 2})
    sums = (np.ones((2, 8), np.float32), np.ones(2, np.int64))
    trace.add(3, sums, sums, sums)
    write_trace(trace, folder / "trace.npz", cumulative=True)
    return folder / "trace.npz"


def _receipt(folder: Path) -> Path:
    (folder / "sent").mkdir()
    (folder / "sent/a.txt").write_text("a")
    write_json(folder / "receipt.json", upload_directory(LocalStore(str(folder / "store")), folder / "sent", "sent"))
    return folder / "receipt.json"


def _model(folder: Path) -> Path:
    (folder / "model").mkdir()
    write_model(with_random_masks(trained_model(TINY)), folder / "model")
    return folder / "model/model.safetensors"


def _examples(folder: Path) -> Path:
    write_examples(folder / "e.arrow", [Sentence(("Paris", "brille"), ("B-LOC", "O"))], Sentence, ["O", "B-LOC"])
    return folder / "e.arrow"


def _configured(path: Path) -> Any:
    """A configuration, whose names must be safe to put into paths."""
    config = complete(read_config(path))
    names = [*config["languages"], *config["variants"], *config["evaluate"]]
    assert not [name for name in names if "/" in name or name in ("", ".", "..") or "\n" in name], names
    return config


def _in(folder: Callable[[Path], Path], name: str) -> Callable[[Path], Path]:
    """The same files, another of which is damaged."""
    return lambda place: folder(place).with_name(name)


def _all(read: Callable[[Path], Iterator[Any]]) -> Callable[[Path], Any]:
    return lambda path: list(read(path))


def _read_manifest(path: Path) -> Any:
    return parse_manifest(path.read_bytes(), "store")


def _sums(path: Path) -> Any:
    return parse_sums(path.read_text("utf-8", errors="replace"), "sums")


MANIFEST = '{"format": 1, "files": [{"name": "config.json", "size": 14, "crc32c": "4waSgw=="}]}'
SENTENCES = [Sentence(("Paris", "brille"), ("B-LOC", "O")), Sentence(("Elle",), ("O",))]

READERS = (
    Reader("dump, XML", _written("fr.xml", DUMP), damage.xml_file, _all(read_pages)),
    Reader("dump, bzip2", _written("fr.xml.bz2", bz2.compress(DUMP.encode())), damage.bz2_file, _all(read_pages)),
    Reader("dump, header", _written("fr.xml", DUMP), damage.xml_file, lambda path: site_of([path], "fr")),
    Reader("checksums", _written("s", f"{'0f' * 20}  a.bz2\n{'1e' * 20} *b.bz2\n"), damage.text_file, _sums),
    Reader("records", _records, damage.tfrecord_file, lambda path: list(read_batches(path.parent, 3))),
    Reader(
        "records, stats.json", _in(_records, "stats.json"), damage.json_file, lambda p: list(read_batches(p.parent, 3))
    ),
    Reader("tokens", _tokens, damage.npy_file, lambda path: open_tokens(path.parent)),
    Reader("tokens, stats.json", _in(_tokens, "stats.json"), damage.json_file, lambda path: open_tokens(path.parent)),
    Reader("ticket", _ticket, damage.safetensors_file, read_ticket),
    Reader("saliency", _saliency, damage.safetensors_file, read_saliency),
    Reader("trace of conflict", _trace, damage.npz_file, read_trace),
    Reader("model, weights", _model, damage.safetensors_file, lambda path: read_model(path.parent)),
    Reader("model, config.json", _in(_model, "config.json"), damage.json_file, lambda path: read_model(path.parent)),
    Reader(
        "settings of a model", _in(_model, "config.json"), damage.json_file, lambda path: read_settings(path.parent)
    ),
    Reader("tokenizer.json", lambda f: write_tokenizer(f) / "tokenizer.json", damage.json_file, read_tokenizer_json),
    Reader(
        "vocab.txt", _written("v", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nba\n##ba\n"), damage.text_file, read_vocabulary
    ),
    Reader("panx", _task("panx", _splits("{}", TAGGED), "train"), damage.text_file, _read_task("panx")),
    Reader(
        "panx, rows", _task("panx", _splits("{}.jsonl", ROWS), "train.jsonl"), damage.json_lines, _read_task("panx")
    ),
    Reader(
        "udpos, CoNLL-U",
        _task("udpos", _splits("fr_x-ud-{}.conllu", CONLLU + "\n\n"), "fr_x-ud-dev.conllu"),
        damage.text_file,
        _read_task("udpos"),
    ),
    Reader("xnli", _task("xnli", _splits("{}-fr.tsv", PAIRS), "test-fr.tsv"), damage.text_file, _read_task("xnli")),
    Reader("examples", _examples, damage.cut_and_flipped, lambda path: read_examples(path, Sentence)),
    Reader(
        "predictions",
        _written("p", "B-LOC\nO\n\nO\n"),
        damage.text_file,
        lambda path: read_predictions(path, TASKS["panx"], SENTENCES),
    ),
    Reader(
        "sampling table",
        _written("r", "fr/*.tfrecord\t0.5\nsw*,0.25\n"),
        damage.text_file,
        lambda p: read_ratios(p, ["fr", "sw"]),
    ),
    Reader("losses", _written("h.csv", LOSSES), damage.text_file, read_history),
    Reader("manifest", _written("m.json", MANIFEST), damage.json_file, _read_manifest),
    Reader("receipt", _receipt, damage.json_file, stored_directory),
    Reader("JSON", _written("j.json", MANIFEST), damage.json_file, read_json),
    Reader("configuration", _written("c.yaml", yaml.safe_dump(CONFIG)), damage.yaml_file, _configured),
)
"""All but those that need a framework."""


def _published_masks(folder: Path) -> Path:
    import torch

    masks = {f"bert.encoder.layer.{n}.attention.self.query.weight_mask": torch.ones(4, 4) for n in (0, 1)}
    torch.save(masks, folder / "mask.pt")
    return folder / "mask.pt"


def _checkpoint(folder: Path) -> Path:
    from polyticket.model.tf_checkpoint import write_checkpoint

    write_checkpoint(
        {"bert/pooler/dense/kernel": np.ones((4, 4), np.float32), "global_step": np.int64(3)}, folder / "c"
    )
    return next((folder / "c").glob("*.index"))


def _data(folder: Path) -> Path:
    return next(_checkpoint(folder).parent.glob("*.data*"))


def _read_checkpoint(path: Path) -> Any:
    from polyticket.model.tf_checkpoint import read_checkpoint

    return read_checkpoint(path.parent)


HEAVY = (
    Reader("masks of PyTorch", _published_masks, damage.cut_and_flipped, lambda path: import_mask(path, "ner/fr")),
    Reader("TF checkpoint, index", _checkpoint, damage.cut_and_flipped, _read_checkpoint),
    Reader("TF checkpoint, data", _data, damage.cut_and_flipped, _read_checkpoint),
)
"""Those that import PyTorch or TensorFlow."""
