import io
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoTokenizer, MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast

from polyticket.core.errors import PolyticketError
from polyticket.model.torch_setup import prepare_torch
from polyticket.pruning.rounds import Rounds
from polyticket.pruning.search import SearchOptions, search
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.backbones.mt5 import MT5Backbone
from polyticket.tasks.examples import Pair
from polyticket.tasks.finetuning import FinetuningSpec, build, finetune
from polyticket.tasks.heads.base import TaskModel
from polyticket.tasks.heads.text_to_text import MOST_NEW, TextToText
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import XNLI
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tasks.zero_shot import Tuned, read_tuned, score_zero_shot, write_tuned

SAMPLE = Path(__file__).parents[1] / "resources/sample/xnli"
FORM = TextToText(XNLI)
SPECIAL = ["<pad>", "</s>", "<unk>"]
EOS = 1
SHAPE = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "dropout_rate": 0.02}
QUICK = FinetuneOptions(
    learning_rate=5e-3, epochs=40, adaptive_least_seen=0, batch_size=4, accumulation=3, save_steps=20, threads=1
)


def pairs(split: str = "train", language: str = "en") -> list[Pair]:
    lines = (SAMPLE / language / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    return [Pair(*line.split("\t")) for line in lines]


def words(*lists: list[Pair]) -> list[str]:
    return [f"xnli premise: {p.premise} hypothesis: {p.hypothesis} {p.label}" for found in lists for p in found]


def unigram(texts: list[str], size: int = 600) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    special = [AddedToken(piece, special=True, normalized=False) for piece in SPECIAL]
    made.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    return made


def saved(folder: Path, tokenizer: Tokenizer, **changes) -> Path:
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    rows = tokenizer.get_vocab_size() + 4  # mT5 has more rows than pieces as well
    MT5ForConditionalGeneration(MT5Config(vocab_size=rows, **SHAPE)).to(**changes).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    prepare_torch(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("mt5"), unigram(words(pairs())))


@pytest.fixture(scope="module")
def backbone(folder) -> MT5Backbone:
    return read_backbone(folder)


def copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def answering(backbone: MT5Backbone, piece: int) -> TaskModel:
    """A model that says one piece again and again, whatever it is asked."""
    task_model = build(FORM, backbone, "en", 1)
    head = nn.Linear(SHAPE["d_model"], backbone.vocab_size)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    head.bias.data[piece] = 1.0
    task_model.backbone.lm_head = head
    return task_model.eval()


def batch_of(backbone: MT5Backbone, examples: list[Pair], most: int = 128):
    return FORM.collate(FORM.encode(examples, backbone.tokenizer, most), np.arange(len(examples)), None)


def test_source_and_target_are_what_the_models_own_tokenizer_gives(folder, backbone):
    examples = pairs()[:30]
    theirs = AutoTokenizer.from_pretrained(folder)
    encoded = FORM.encode(examples, backbone.tokenizer, 128)
    for number, pair in enumerate(examples):
        source = f"xnli premise: {pair.premise} hypothesis: {pair.hypothesis}"
        assert encoded["ids"].row(number).tolist() == theirs(source).input_ids
        assert encoded["targets"].row(number).tolist() == theirs(pair.label).input_ids
        assert encoded["ids"].row(number)[-1] == encoded["targets"].row(number)[-1] == EOS
        assert theirs.decode(encoded["ids"].row(number)) == f"{source}</s>"
    assert encoded.truncated == 0
    assert encoded["example"].values.tolist() == list(range(30))


def parts(backbone: MT5Backbone, pair: Pair, most: int) -> tuple[str, str, int]:
    """What is left of premise and hypothesis, and how many sources were cut."""
    encoded = FORM.encode([pair], backbone.tokenizer, most)
    ids = encoded["ids"].row(0).tolist()
    assert ids[-1] == EOS
    assert EOS not in ids[:-1]
    assert len(ids) == most or not encoded.truncated
    premise, hypothesis = (
        backbone.tokenizer.backend.decode(ids[:-1]).removeprefix("xnli premise: ").split(" hypothesis:")
    )
    return premise, hypothesis.strip(), encoded.truncated


def test_of_an_overlong_pair_the_longer_sentence_loses_its_end(backbone):
    long, short = "Hope Wells moved to Austin " * 40, "A baker moved to Austin"
    premise, hypothesis, cut = parts(backbone, Pair(long, short, "neutral"), 64)
    assert (hypothesis, cut) == (short, 1)
    assert long.startswith(premise)
    premise, hypothesis, cut = parts(backbone, Pair(short, long, "neutral"), 64)
    assert (premise, cut) == (short, 1)
    assert long.startswith(hypothesis)
    premise, hypothesis, cut = parts(backbone, Pair(long, long, "neutral"), 64)
    assert cut == 1
    first, second = map(len, backbone.tokenizer.of_texts([premise, hypothesis]))
    assert first - second in (0, 1)


def test_a_source_that_just_fits_is_whole(backbone):
    pair = pairs()[0]
    exact = int(FORM.encode([pair], backbone.tokenizer, 128).lengths()[0])
    assert parts(backbone, pair, exact) == (pair.premise, pair.hypothesis, 0)
    premise, hypothesis, cut = parts(backbone, pair, exact - 1)
    assert cut == 1
    assert hypothesis == pair.hypothesis
    assert premise == pair.premise.removesuffix(".")


def test_a_source_has_no_end_before_its_end(backbone):
    ids = FORM.encode([Pair("A baker </s> moved", "</s>", "neutral")], backbone.tokenizer, 64)["ids"].row(0).tolist()
    assert ids.index(EOS) == len(ids) - 1


def test_a_length_without_room_for_a_pair_is_refused(backbone):
    prompt = sum(map(len, backbone.tokenizer.of_texts(["xnli premise:", "hypothesis:"])))
    with pytest.raises(PolyticketError, match=f"max_seq_length: {prompt + 2}; expected at least {prompt + 3} for"):
        FORM.encode(pairs()[:1], backbone.tokenizer, prompt + 2)
    assert FORM.encode(pairs()[:1], backbone.tokenizer, prompt + 3).lengths().tolist() == [prompt + 3]


def test_labels_that_can_never_be_answered_are_refused(tmp_path):
    letters = saved(tmp_path / "letters", unigram(["e n t a i l m u r c o d x p s h y :"], 40))
    with pytest.raises(
        PolyticketError, match=r"label 'entailment' has 1\d tokens, and 5 are generated; expected .* at most 5"
    ):
        FORM.encode(pairs()[:1], TaskTokenizer(letters), 128)


def test_a_label_that_the_tokenizer_cannot_spell_is_refused(tmp_path):
    tokens = [*((piece, 0.0) for piece in SPECIAL), ("▁entailment", -1.0), ("▁neutral", -1.0), ("▁contra", -1.0)]
    made = Tokenizer(models.Unigram(tokens, unk_id=2))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    with pytest.raises(PolyticketError, match="label 'contradiction' comes back as 'contra'"):
        FORM.encode(pairs()[:1], TaskTokenizer(saved(tmp_path, made)), 128)


def test_targets_are_padded_with_what_the_loss_leaves_out(backbone):
    examples = [Pair("a b", "c", "contradiction"), Pair("a", "b", "neutral")]
    lengths = [len(ids) + 1 for ids in backbone.tokenizer.of_texts([pair.label for pair in examples])]
    batch = batch_of(backbone, examples)
    assert batch["targets"].shape == (2, max(lengths))
    for row, length in zip(batch["targets"].tolist(), lengths, strict=True):
        assert row[length - 1] == EOS
        assert row[length:] == [-100] * (max(lengths) - length)
    assert batch["attention_mask"].sum(1).tolist() == FORM.encode(examples, backbone.tokenizer, 128).lengths().tolist()


def test_loss_is_hugging_faces_own(backbone):
    task_model, batch = build(FORM, backbone, "en", 1).eval(), batch_of(backbone, pairs()[:7])
    theirs = task_model.backbone(
        input_ids=batch["ids"], attention_mask=batch["attention_mask"], labels=batch["targets"]
    ).loss
    torch.testing.assert_close(FORM.loss(task_model, batch) / FORM.targets(batch), theirs)
    assert theirs > 1


def test_at_most_five_pieces_are_generated(backbone):
    piece = backbone.tokenizer.of_texts(["baker"])[0][0]
    text = backbone.tokenizer.backend.id_to_token(piece).replace("▁", " ")
    batch = batch_of(backbone, pairs()[:3])
    assert MOST_NEW == 5
    assert FORM.predict(answering(backbone, piece), batch) == [(text * 5).strip()] * 3


def test_beams_find_what_greedy_search_passes_by(backbone):
    """The first token is `a` with .6 and `b` with .4; then `a` ends with .3 at most, `b` with 1."""
    task_model, batch = build(FORM, backbone, "en", 1).eval(), batch_of(backbone, pairs()[:2])
    a, b, *others = range(10, 16)
    table = torch.full((len(backbone.tokenizer), task_model.backbone.lm_head.out_features), -1e4)
    table[0, [a, b]] = torch.tensor([0.6, 0.4]).log()
    table[a, [EOS, *others]] = torch.tensor([0.3, 0.2, 0.2, 0.2, 0.1]).log()
    table[b, EOS] = 0.0
    table[others, EOS] = 0.0
    seen = []
    task_model.backbone.decoder.register_forward_pre_hook(
        lambda _, args, given: seen.append(given["input_ids"][:, -1]), with_kwargs=True
    )
    task_model.backbone.lm_head.register_forward_hook(lambda *_: table[seen[-1]][:, None])
    said = [[backbone.tokenizer.backend.decode([piece])] * 2 for piece in (a, b)]
    assert FORM.predict(task_model, batch) == said[0] != said[1]
    assert TextToText(XNLI, FinetuneOptions(num_beams=2)).predict(task_model, batch) == said[1]


@pytest.mark.parametrize("said", ["</s>", "<unk>", "<pad>", "baker"])
def test_an_answer_that_is_no_label_is_wrong_and_invalid(backbone, said):
    examples = pairs()[:6]
    piece = backbone.tokenizer.of_texts([said])[0][-1]
    batch, encoded = batch_of(backbone, examples), FORM.encode(examples, backbone.tokenizer, 128)
    answers = FORM.gather(FORM.predict(answering(backbone, piece), batch), encoded, examples)
    assert len(answers) == 6
    if said in SPECIAL:
        assert answers == [""] * 6
    assert XNLI.metric.score(examples, answers) == {"accuracy": 0.0, "macro_f1": 0.0, "invalid": 6.0}


def test_an_answer_does_not_depend_on_the_batch(backbone):
    task_model, examples = build(FORM, backbone, "en", 1).eval(), pairs()[:8]
    together = FORM.predict(task_model, batch_of(backbone, examples))
    assert together == [FORM.predict(task_model, batch_of(backbone, [pair]))[0] for pair in examples]


def test_neither_loading_nor_generating_says_anything(backbone, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FORM.predict(build(FORM, backbone, "en", 1).eval(), batch_of(backbone, pairs()[:2]))
    assert capfd.readouterr() == ("", "")


def test_settings_of_a_folder_do_not_change_how_answers_are_generated(folder, tmp_path):
    other = copied(folder, tmp_path / "other")
    (other / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 9.0, "num_beams": 3, "max_length": 2, "repetition_penalty": 5.0})
    )
    batch = batch_of(read_backbone(folder), pairs()[:8])
    answers = [FORM.predict(build(FORM, read_backbone(f), "en", 1).eval(), batch) for f in (folder, other)]
    assert answers[0] == answers[1]


DOZEN = {"train": pairs()[:12], "dev": pairs()[:12], "test": pairs()[:12]}


@pytest.fixture(scope="module")
def learned(backbone):
    return finetune(backbone, DOZEN, FinetuningSpec(XNLI, "en", 1, QUICK))


def test_a_dozen_examples_are_learned_by_heart(learned):
    losses = [loss for _, loss, _ in learned.curve]
    assert losses[0] > 4
    assert losses[-1] < 0.1
    assert learned.predictions["test"] == [pair.label for pair in DOZEN["test"]]
    assert learned.report["test"] == {"accuracy": 1.0, "macro_f1": 1.0, "invalid": 0.0}
    assert (learned.report["backbone"], learned.report["steps"], learned.report["density"]) == ("mt5", 40, 1.0)


def test_the_same_seed_gives_the_same_losses_and_weights(backbone):
    few = replace(QUICK, epochs=3)
    first, again = (finetune(backbone, DOZEN, FinetuningSpec(XNLI, "en", 3, few)) for _ in range(2))
    assert torch.are_deterministic_algorithms_enabled()
    assert first.curve == again.curve
    assert all(torch.equal(tensor, again.state[name]) for name, tensor in first.state.items())
    other = finetune(backbone, DOZEN, FinetuningSpec(XNLI, "en", 4, few))
    assert first.curve != other.curve


def test_fine_tuned_weights_come_back_from_disk(backbone, learned, tmp_path):
    write_tuned(
        tmp_path / "t.safetensors",
        Tuned({"task": "xnli", "language": "en", "seed": 1, "labels": [*XNLI.labels], "digests": {}}, learned.state),
    )
    tuned = read_tuned(tmp_path / "t.safetensors")
    scores = score_zero_shot(backbone, tuned, {"en": DOZEN["test"]}, task=XNLI, options=QUICK)
    assert scores == {"en": (learned.report["test"], learned.predictions["test"])}


def test_embeddings_that_are_tied_stand_once(backbone):
    body = backbone.module("en", 1)
    state = backbone.state(body, "en")
    assert "shared.weight" in state
    assert not {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"} & set(state)
    changed = backbone.with_state(state | {"shared.weight": state["shared.weight"] + 1, "head.x": torch.ones(1)})
    other = changed.module("en", 1)
    torch.testing.assert_close(other.encoder.embed_tokens.weight, body.shared.weight + 1, rtol=0, atol=0)
    assert other.lm_head.weight is other.shared.weight


def test_a_projection_of_its_own_stays_its_own(folder, tmp_path):
    """Published mT5 weights have one."""
    other = copied(folder, tmp_path / "untied")
    tensors = load_file(other / "model.safetensors")
    projection = torch.randn_like(tensors["shared.weight"])
    save_file(tensors | {"lm_head.weight": projection}, other / "model.safetensors", metadata={"format": "pt"})
    backbone = read_backbone(other)
    body = backbone.module("en", 1)
    torch.testing.assert_close(body.lm_head.weight, projection, rtol=0, atol=0)
    torch.testing.assert_close(body.shared.weight, tensors["shared.weight"], rtol=0, atol=0)
    assert body.encoder.embed_tokens.weight is body.decoder.embed_tokens.weight is body.shared.weight
    again = backbone.with_state(backbone.state(body, "en") | {"lm_head.weight": projection * 2}).module("en", 1)
    torch.testing.assert_close(again.lm_head.weight, projection * 2, rtol=0, atol=0)
    torch.testing.assert_close(again.shared.weight, tensors["shared.weight"], rtol=0, atol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_new_weights_are_drawn_by_seed_and_take_the_place_of_all(folder, tmp_path, tied):
    other = copied(folder, tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    if not tied:
        own = {"lm_head.weight": tensors["shared.weight"] * 2}
        save_file(tensors | own, other / "model.safetensors", metadata={"format": "pt"})
    backbone = read_backbone(other)
    before = torch.random.get_rng_state()
    fresh = backbone.reinitialized(5)
    assert torch.equal(before, torch.random.get_rng_state())
    first, again, another = (s.module("en", 1) for s in (fresh, backbone.reinitialized(5), backbone.reinitialized(6)))
    assert (first.lm_head.weight is first.shared.weight) is tied
    pretrained = dict(backbone.module("en", 1).named_parameters())
    for name, weight in first.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
        if not name.endswith("layer_norm.weight"):
            assert not torch.equal(weight, another.get_parameter(name))
            assert not torch.equal(weight, pretrained[name])
    assert first.encoder.block[0].layer[1].DenseReluDense.wo.weight.std().item() == pytest.approx(64**-0.5, rel=0.1)
    assert backbone.named(first) is first
    assert backbone.shapes() == {name: tuple(tensor.shape) for name, tensor in backbone.state(first, "en").items()}
    assert ("lm_head.weight" in backbone.shapes()) is not tied


def test_every_body_is_a_fresh_copy_in_float32_that_trains(tmp_path):
    backbone = read_backbone(saved(tmp_path, unigram(words(pairs())), dtype=torch.bfloat16))
    first, second = backbone.module("en", 1), backbone.module("fr", 2)
    assert first.training
    assert {parameter.dtype for parameter in first.parameters()} == {torch.float32}
    before = second.shared.weight.detach().clone()
    first.shared.weight.data.zero_()
    torch.testing.assert_close(second.shared.weight, before, rtol=0, atol=0)
    assert before.abs().sum() > 0


def test_what_the_subject_says(backbone, folder):
    assert (backbone.kind, backbone.longest, backbone.mask_method) == ("mt5", 1024, "constant")
    assert backbone.vocab_size == len(backbone.tokenizer) + 4
    assert backbone.masks("en") is None
    assert backbone.restricted(np.arange(3)) is backbone
    with pytest.raises(
        PolyticketError, match="prune_model: mT5 models cannot be pruned to smaller ones; expected false"
    ):
        backbone.module("en", 1, prune=True)


def test_weights_that_do_not_fit_are_refused(backbone, folder, tmp_path):
    for name, tensor in {"shared.wait": torch.ones(1), "shared.weight": torch.ones(2, 2)}.items():
        with pytest.raises(PolyticketError, match=f"no weight {name} of shape"):
            backbone.with_state({name: tensor}).module("en", 1)
    other = copied(folder, tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    lost = tensors.pop("decoder.block.1.layer.2.DenseReluDense.wo.weight")
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        PolyticketError, match=r"missing tensor decoder\.block\.1\.layer\.2\.DenseReluDense\.wo\.weight"
    ):
        read_backbone(other).module("en", 1)
    tensors["decoder.block.1.layer.2.DenseReluDense.wo.weight"] = lost[:, :5].contiguous()
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PolyticketError, match=r"DenseReluDense\.wo\.weight has shape \[32, 5\]; expected \[32, 64\]"):
        read_backbone(other).module("en", 1)
    (other / "model.safetensors").write_bytes(b"no")
    with pytest.raises(PolyticketError, match=f"{other}/model.safetensors: cannot be read as weights: "):
        read_backbone(other).module("en", 1)
    (other / "model.safetensors").unlink()
    with pytest.raises(PolyticketError, match=f"{other}: no weights in this folder; expected model.safetensors"):
        read_backbone(other).module("en", 1)


def test_a_tokenizer_with_more_pieces_than_the_model_has_rows_is_refused(folder, tmp_path):
    other = copied(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    with pytest.raises(PolyticketError, match=r"\d+ tokens; expected at most 100"):
        read_backbone(other)


class Trap:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_weights_of_the_old_format_are_read_without_running_what_is_in_them(folder, tmp_path):
    other = copied(folder, tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    (other / "model.safetensors").unlink()
    torch.save(tensors, other / "pytorch_model.bin")
    body = read_backbone(other).module("en", 1)
    torch.testing.assert_close(body.shared.weight, tensors["shared.weight"], rtol=0, atol=0)
    torch.save(tensors | {"trap": Trap(tmp_path / "sprung")}, other / "pytorch_model.bin")
    with pytest.raises(
        PolyticketError, match=r"pytorch_model\.bin: cannot be read: it is damaged, or holds more than te"
    ):
        read_backbone(other).module("en", 1)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("fallback", [False, True])
def test_a_sentencepiece_model_is_read_as_sentencepiece_reads_it(folder, tmp_path, fallback):
    """Folders such as google/mt5-small hold no other tokenizer."""
    place, out = copied(folder, tmp_path / "spiece"), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words(pairs(), pairs("train", "ur"))),
        model_writer=out,
        vocab_size=900,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        byte_fallback=fallback,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (place / "tokenizer.json").unlink()
    (place / "spiece.model").write_bytes(out.getvalue())
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {**names, "extra_ids": 0, "additional_special_tokens": None, "tokenizer_file": None}
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    theirs, pieces = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue()), TaskTokenizer(place)
    assert len(pieces) == theirs.get_piece_size()
    assert [pieces.special(role) for role in ("pad", "eos", "unk")] == [0, 1, 2]
    texts = [*words(pairs("test"), pairs("test", "ur"), pairs("test", "sw")), "Wörld  日本語 ½ ﬁx² \u00a0\u200b x"]
    assert pieces.of_texts(texts) == theirs.encode(texts)
    assert (2 in pieces.of_texts(texts)[-1]) is not fallback
    encoded = FORM.encode(pairs()[:1], pieces, 128)
    premise, hypothesis, label = pairs()[0]
    assert encoded["ids"].row(0).tolist() == [*theirs.encode(f"xnli premise: {premise} hypothesis: {hypothesis}"), 1]
    assert encoded["targets"].row(0).tolist() == [*theirs.encode(label), 1]


@pytest.mark.parametrize("joint_pool", [False, True])
def test_sub_networks_of_an_mt5_are_cut_in_encoder_and_decoder_apart_or_together(backbone, tmp_path, joint_pool):
    asked = FinetuningSpec(XNLI, "en", 1, replace(QUICK, accumulation=1))
    options = SearchOptions(steps_per_round=4, levels=3, step=0.3, joint_pool=joint_pool)
    started = search(Rounds(backbone, DOZEN, asked, joint_pool=joint_pool), options, tmp_path / "live")
    next(started), next(started)
    started.close()
    found = list(search(Rounds(backbone, DOZEN, asked, joint_pool=joint_pool), options, tmp_path / "live"))
    whole = list(search(Rounds(backbone, DOZEN, asked, joint_pool=joint_pool), options, tmp_path / "whole"))
    assert [one.level.sparsity for one in found] == ["0", "30", "60"]
    assert all(np.array_equal(a.masks.words, b.masks.words) for a, b in zip(found, whole, strict=True))
    assert [one.metrics for one in found] == [one.metrics for one in whole]
    last, sizes, kept = found[-1].masks, {"encoder": 0, "decoder": 0}, {"encoder": 0, "decoder": 0}
    for name in last:
        side = name.split(".")[0]
        sizes[side] += last.sizes[name]
        kept[side] += int(last[name].sum())
    assert sum(kept.values()) == sum(
        int(0.4 * size) for size in ([sum(sizes.values())] if joint_pool else sizes.values())
    )
    assert (kept["encoder"] == int(0.4 * sizes["encoder"])) is not joint_pool
