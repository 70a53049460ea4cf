"""The benchmarks measure what they say; how fast it is, only they say."""

import hashlib
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from polyticket.config.completion import complete
from polyticket.core.languages import CODES
from polyticket.core.processor import processor
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.records.tokens import Tokens, open_tokens
from polyticket.tasks.examples import Sentence
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import PANX
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, write_tokenizer

ROOT = Path(__file__).resolve().parents[1]
TEXT = "the cat sat .\na dog ran .\n\nthe dog sat .\na cat ran .\nthe end .\n"
PIECES = (*SPECIAL_TOKENS, "the", "cat", "sat", ".", "a", "dog", "ran", "end")
SETTINGS = {"max_seq_length": 16, "max_predictions": 3, "dupe_factor": 2, "seed": 1}

sys.path.insert(0, str(ROOT / "benchmarks"))
dag, records, shared_momentum = map(import_module, ("dag", "records", "shared_momentum"))
side_by_side, summary = map(import_module, ("side_by_side", "summary"))
compact_step, sample_tickets = map(import_module, ("compact_step", "sample_tickets"))
finetune, tagger_sides = map(import_module, ("finetune", "tagger_sides"))
text = import_module("text")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("model-garden", "tf-models-official==2.20.0"),
        ("sentences", "nltk==3.10.4"),
        ("text", "mwparserfromhell==0.7.2"),
    ],
)
def test_the_references_are_pinned(name, least):
    lines = (ROOT / f"benchmarks/requirements/{name}.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in packages)
    assert least in packages


def test_an_environment_that_is_there_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYTICKET_BENCH", str(tmp_path))
    requirements = ROOT / "benchmarks/requirements/model-garden.txt"
    (tmp_path / "model-garden").mkdir()
    (tmp_path / "model-garden/made-of").write_text(hashlib.sha256(requirements.read_bytes()).hexdigest())
    assert side_by_side.environment("model-garden") == tmp_path / "model-garden/bin/python"
    assert [path.name for path in (tmp_path / "model-garden").iterdir()] == ["made-of"]


def test_report_ends_with_one_line_of_json(capsys):
    side_by_side.report("name", {"theirs": 2.0, "ours": 5.0}, ratio=2.5, unit="s", n=3)
    *table, last = capsys.readouterr().out.splitlines()
    assert [line.split() for line in table] == [["theirs", "2", "s"], ["ours", "5", "s"], ["ratio", "2.5"]]
    found = json.loads(last)
    assert (found["benchmark"], found["ratio"], found["unit"], found["n"]) == ("name", 2.5, "s", 3)
    assert {key: found[key] for key in processor(1)} == processor(1)


def test_targets_are_those_of_the_instruction_set(monkeypatch, capsys):
    least = {"AVX2": 4.0, "AVX512": 3.0}
    for found, wanted in (("SSE", 4), ("AVX2", 4), ("AVX512", 3), ("AMX", 3), ("aarch64", 3)):
        monkeypatch.setattr(side_by_side, "usable", lambda found=found: found)
        assert side_by_side.target(least) == wanted, found
    side_by_side.report("name", {"ours": 5.0}, ratio=2.5, unit="s", n=3, threads=2, least=4)
    *_, above, last = capsys.readouterr().out.splitlines()
    assert above.split() == ["ratio", "2.5", "target", "4"]
    assert (json.loads(last)["target"], json.loads(last)["threads"]) == (4, 2)


def test_memory_and_sizes_stand_beside_time(capsys):
    def work(n):
        return lambda: np.ones(n, np.uint8)

    sides = side_by_side.in_turn({"little": work(1), "much": work(30_000_000)}, 2)
    assert sides.megabytes["much"] > 20 > sides.megabytes["little"]
    grown = side_by_side.grown(work, (10_000_000, 40_000_000))
    assert 30 < grown[40_000_000].megabytes < 60
    other = {"more": side_by_side.Ratio(2.0, 1.5)}
    side_by_side.report("x", sides, ratio=1.0, unit="s", n=3, others=other, megabytes=sides.megabytes, sizes=grown)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["others"] == {"more": {"ratio": 2.0, "target": 1.5}}
    assert set(found["megabytes"]) == {"little", "much"}
    assert set(found["sizes"]) == {"10000000", "40000000"}
    assert found["load"] >= 0


def line(ratio, **more):
    return {"benchmark": "x", "ratio": ratio, "load": 1.5, "instructions": "AVX2", **more}


def test_what_got_slower_by_more_than_a_quarter_is_named():
    before = {"AVX2": {"x": line(10.0, others={"y": {"ratio": 2.0}})}}
    now = line(7.9, target=8.0, others={"y": {"ratio": 1.7, "target": 1.5}, "z": {"ratio": 1.0}})
    assert summary.slower({"AVX2": {"x": now}}, before) == [
        "x on AVX2 got slower: 10 before, 7.9 now",
        "x on AVX2 is below its target: 7.9 of 8",
    ]
    assert summary.slower({"AVX2": {"x": line(8.1)}}, before) == []
    assert summary.slower({"AVX512": {"x": line(1.0)}}, before) == []


def test_the_summary_is_one_table():
    sizes = {"2000": {"seconds": 0.5, "megabytes": 3.2}, "100": {"seconds": 0.1, "megabytes": 2}}
    sizes |= {"1000": {"seconds": 0.3, "megabytes": 3}}  # the smallest and the largest are shown
    found = {"AVX2": {"x": line(7.9, target=8.0, others={"y": {"ratio": 2.0}}, sizes=sizes)}, "AMX": {"x": line(9.0)}}
    assert summary.table(found).splitlines() == [
        "| benchmark | AMX | AVX2 | size: time, memory |",
        "|---|---|---|---|",
        "| x | 9, load 1.5 | 7.9 (≥ 8), load 1.5 | 100: 0.1 s, 2 MB; 2,000: 0.5 s, 3 MB |",
        "| x: y |  | 2, load 1.5 |  |",
    ]


def test_every_script_that_reports_is_a_benchmark_and_the_readme_quotes_the_summary():
    assert {"allocate", "compact", "dag", "finetune", "text"} <= set(summary.names())
    assert not {"side_by_side", "sample_tickets", "tagger_sides", "summary"} & set(summary.names())
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- benchmarks -->\n")[2]
    assert table.partition("<!-- end of benchmarks -->")[0].strip() == summary.table(summary.read())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the package's side finds for a text, and its folder."""
    folder = tmp_path_factory.mktemp("side")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    write_tokenizer(list(PIECES), folder / "vocabulary")
    job = {"text": str(folder / "text.txt"), "tokenizer": str(folder / "vocabulary"), "settings": SETTINGS}
    return side_by_side.run_side("records_polyticket", job | {"limits": True}, folder / "ours"), folder / "ours"


def test_our_side_makes_records_and_counts_them(measured):
    found, folder = measured
    stats = json.loads((folder / "records/stats.json").read_text(encoding="utf-8"))
    assert found["instances"] == stats["instances"] > 0
    seconds = found["seconds"]
    assert seconds["total"] == pytest.approx(seconds["tokens"] + seconds["records"])
    assert set(found["limits"]) == {"tokenizer", "encoding", "bytes"}
    assert (folder / "again.tfrecord").read_bytes() == b"".join(
        path.read_bytes() for path in sorted((folder / "records").glob("*.tfrecord"))
    )


def test_tokens_are_compared_line_by_line(measured, tmp_path):
    tokens = open_tokens(measured[1] / "tokens")
    ids, lengths = np.array(tokens.ids), np.diff(tokens.sentences)
    assert ids[: lengths[0]].tolist() == [PIECES.index(piece) for piece in ("the", "cat", "sat", ".")]
    np.savez(tmp_path / "tokens.npz", ids=ids, lengths=lengths)
    assert records.check_tokens(tmp_path, measured[1]) == 5
    ids[-1] = 1
    np.savez(tmp_path / "tokens.npz", ids=ids, lengths=lengths)
    with pytest.raises(AssertionError, match=r"line 5 with tokens, from token 2: \[1\] there and \[8\] here"):
        records.check_tokens(tmp_path, measured[1])


def test_first_difference_names_a_line_that_only_one_side_has():
    tokens = Tokens(np.array([1, 2, 3]), np.array([0, 2, 3]), np.array([0, 2]))
    said = records.first_difference(np.array([1, 2]), np.array([0, 2]), tokens)
    assert said == "line 2 with tokens, from token 0: [] there and [3] here"


def test_deviations_are_those_of_a_difference():
    reference = {"instances": 30, "spread": 1.5}
    assert records.deviations(reference, {"instances": 36}) == pytest.approx(4 / 2**0.5)


def test_the_dry_run_asks_for_all_languages_and_some_400_dump_files(tmp_path):
    assert sum(map(dag.parts_of, CODES)) == dag.write_inputs(tmp_path) == 384
    assert len(list(tmp_path.glob("wiki/en/*.bz2"))) == 60
    assert complete(dag.paper_config(tmp_path))["languages"] == list(CODES)


def test_job_counts_are_read_from_a_dry_run():
    said = "Job stats:\njob      count\n-----  -------\nall          1\nmake_x      12\ntotal       13\n\nReasons:\n"
    assert dag.job_counts(said) == {"all": 1, "make_x": 12, "total": 13}


@pytest.mark.workflow
def test_the_bare_workflow_has_about_as_many_jobs(tmp_path):
    found = dag.dry_run(tmp_path, dag.write_bare(tmp_path, 23))
    stages = {f"stage_{number}": 4 for number in range(1, 6)}
    assert dag.job_counts(found.text) == {"all": 1, "total": 21, **stages}


def test_the_lasting_rate_leaves_the_start_out():
    small = {"instances": 10, "seconds": {"total": 2.0}}
    whole = {"instances": 110, "seconds": {"total": 4.0}}
    assert (records.rate(whole), records.lasting_rate(whole, small)) == (27.5, 50.0)


@pytest.mark.workflow
def test_a_dry_run_of_103_languages_stays_within_its_memory(tmp_path):
    dag.write_inputs(tmp_path)
    found = dag.dry_run(tmp_path)
    assert dag.job_counts(found.text)["score_saliency"] == len(CODES)
    assert found.megabytes < dag.ENOUGH_MB


def test_sample_tickets_are_of_the_samples_text(tmp_path):
    path = tmp_path / "train"
    path.write_text("fr:Le\tO\nfr:Mans\tB-LOC\n\nfr:Oui\tO\n", encoding="utf-8")
    assert sample_tickets.sentences_of(path) == "Le Mans\nOui\n"
    shape = BertShape(50, 8, 1, 2, 16)
    scores = [{site.name: np.arange(1.0, site.size + 1) for site in prunable_sites(shape)} for _ in range(2)]
    masks = sample_tickets.masks_of(shape, scores, 0.5)
    assert sum(mask.sum() for name, mask in masks.items() if "output" not in name) == 2 * (3 * 8 + 16) // 2
    assert all((mask == 1).all() for name, mask in masks.items() if "output" in name)


def test_ideal_operations_of_a_step_are_counted():
    shape = BertShape(50, 8, 2, 2, 16)
    batch = {"input_ids": np.zeros((3, compact_step.T)), "masked_lm_ids": np.zeros((3, 2))}
    tokens, length, wanted = 3 * compact_step.T, compact_step.T, 3 * 2 + 3
    masks = {"bert/pooler/pool_mask": np.ones((2, 8))}
    for at in ("bert/encoder/layer_0", "bert/encoder/layer_1"):
        masks |= {f"{at}/attention/self/{name}": np.ones((2, 8)) for name in ("attention_mask", "value_attention_mask")}
        masks[f"{at}/intermediate/intermediate_mask"] = np.array([[1.0] * 16, [0.0] * 16])
    first = tokens * (4 * 8 * 8 + 2 * 8 * 8)  # of four attention matrices, and of both wide ones at half
    last = tokens * 2 * 8 * 8 + wanted * (2 * 8 * 8 + 2 * 8 * 8)  # keys and values of all tokens
    attention = 2 * (tokens + wanted) * length * 8
    heads = 6 * 8 * (50 + 8) + 3 * 8 * 8
    assert compact_step.products(shape, masks, batch) == 3 * (first + last + attention + heads)


@pytest.fixture(scope="module")
def tagging(tmp_path_factory):
    """Both sides of fine-tuning on a tiny model without dropout."""
    words = ["the", "cat", "sat", "on", "a", "big", "dog", "in", "Paris"]
    sentences = [Sentence(tuple(words[:n]), tuple(["O"] * (n - 1) + ["B-LOC"])) for n in range(1, 10)] * 4
    shape = BertShape(100, 8, 1, 2, 16, 128, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = finetune.random_model(sentences, tmp_path_factory.mktemp("model"), shape)
    options = FinetuneOptions(1e-2, epochs=1, adaptive_least_seen=0, precision="float32", threads=1)
    return finetune.Bench(model, dict.fromkeys(("train", "dev", "test"), sentences), options, 2)


def test_all_sides_of_fine_tuning_have_the_same_losses(tagging):
    assert tagging.check_same() < 1e-6


def test_all_sides_of_fine_tuning_make_the_same_updates(tagging):
    theirs, whole = tagging.published(), tagging.whole["train"]
    start = theirs.network.bert.embeddings.word_embeddings.weight.detach().clone()
    theirs.train(tagging.steps)
    wanted = {name: weight.detach().numpy() for name, weight in theirs.network.bert.named_parameters()}
    assert np.abs(wanted["embeddings.word_embeddings.weight"] - start.numpy()).max() > 1e-3
    sides = [tagging.own(head(PANX)) for head in (finetune.Tagging, finetune.Padded, finetune.Everywhere)]
    for side in (*sides, tagging.own(everything=True)):
        side.train(tagging.steps)
        own = side.task_model.backbone.state_dict()
        rows = whole.tokens() if len(own["embeddings.word_embeddings.weight"]) < 100 else slice(None)
        for name, weight in wanted.items():
            assert own[name].numpy() == pytest.approx(weight[rows] if "word_emb" in name else weight, abs=1e-5), name
    best = theirs.predicted(whole, 8)
    assert np.concatenate(best).tolist() == np.concatenate(sides[0].predicted(tagging.windows["train"])).tolist()


def test_published_batches_are_padded_and_read_every_window_once_an_epoch(tagging):
    theirs = tagging.published()
    assert theirs.batch(tagging.train, [0, 1])["input_ids"].shape == (2, tagger_sides.WIDE)
    plan = theirs.plan(2, seed=1)
    seen = np.concatenate(plan)
    assert np.bincount(seen).tolist() == [2] * 36
    assert [len(windows) for windows in plan] == [32, 4] * 2


def compared(prose, ours, lang="xx"):
    """What the comparison of one page finds: letters, lost, sentences, damaged."""
    found = text.Comparison()
    text.compare(prose, ours, lang, found)
    return found.letters, found.lost, found.sentences, found.damaged


@pytest.mark.parametrize(
    ("prose", "ours", "expected"),
    [
        (["One two.", "Three."], [["One two."], ["Three."]], (11, 0, 2, 0)),
        (["One two three."], [["One three."]], (11, 3, 1, 1)),
        (["One two."], [["One."]], (6, 3, 1, 0)),  # at the end of a sentence
        (["Two.", "Three four."], [["Item."], ["Three four."]], (12, 3, 2, 0)),
        (["One \ue000 two\ue000, three.\ue000"], [["One two, three."]], (11, 0, 1, 1)),
        (["One \ue000 two."], [["One shown two."]], (6, 0, 1, 0)),
        (["One (\ue000) two."], [["One () two."]], (6, 0, 1, 1)),
        (["Lacqua e."], [["L'acqua e."]], (7, 0, 1, 0)),  # apostrophes are read in another way
        (["Uno due. Tre \ue000 e."], [["Uno due.", "Tre \ufffc e."]], (10, 0, 1, 0)),
    ],
)
def test_lost_letters_and_damaged_sentences_are_counted(prose, ours, expected):
    assert compared(prose, ours) == expected


def test_letters_are_aligned_where_no_spaces_part_words():
    assert compared(["小説の中で。"], [["小の中で。"]], "ja") == (5, 1, 1, 1)
    assert compared(["小説「\ue000」の中で。"], [["小説「」の中で。"]], "ja")[1] == 0


def test_figures_are_shares_and_per_million():
    found = text.Comparison(letters=200, lost=1, sentences=50, damaged=2, characters=4000, residual=1)
    assert found.figures() == {"lost": 0.005, "residual": 250.0, "damaged": 0.04}
    assert set(text.Comparison().figures().values()) == {0.0}


def test_dumps_go_by_the_language_of_their_names():
    given = ["x/dewiki-1.xml.bz2", "dewiki-2.xml", "zh_min_nanwiki-1.xml"]
    assert text.dumps_by_language(given) == {
        "de": [Path("x/dewiki-1.xml.bz2"), Path("dewiki-2.xml")],
        "zh-min-nan": [Path("zh_min_nanwiki-1.xml")],
    }


def test_momentum_gives_orthogonal_languages_cosines_of_updates_but_none_of_their_own():
    cosines = shared_momentum.simulated(2, fresh=False, steps=60)
    assert abs(cosines["gradients"]) < 0.05
    assert abs(cosines["own"]) < 0.05
    assert cosines["updates"] > 0.8
