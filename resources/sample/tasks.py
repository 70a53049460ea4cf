"""The task sets: named entities, parts of speech, inference, parallel sentences."""

import random
from collections.abc import Collection, Mapping
from itertools import cycle
from typing import Any

from frames import Sentence, render, slots
from lexicon import RANGES, TAGS, Chooser, Filler, Lexicon

SIZES = {"train": 600, "dev": 150, "test": 150}
HELD_OUT = {"train": 0.0, "dev": 0.45, "test": 0.45}
PANX = {"per": 3, "org": 3, "loc": 3, "any": 2, "plain": 2}
UDPOS = {"per": 2, "org": 2, "loc": 2, "any": 1, "plain": 3, "own": 6}
LABELS = ("entailment", "neutral", "contradiction")
SHARED = {*RANGES, *TAGS, "per", "city", "country", "month", "day"}
SHARED_POOL = {"per": "shared_first", "city": "shared_city"}
PAIRS = 200


def stream(*names: str) -> random.Random:
    """A random stream of its own for each named part."""
    return random.Random("/".join(("polyticket sample", *names)))  # noqa: S311


def draw(lexicon: Lexicon, chooser: Chooser, weights: Mapping[str, int], without: Collection[str] = ()) -> Sentence:
    """One sentence of a frame whose group (the part of its key before `_`) is drawn by weight."""
    group = chooser.one([group for group, weight in weights.items() for _ in range(weight)])
    names = [key for key in lexicon.frames if key.split("_")[0] == group and key not in without]
    return draw_frame(lexicon, chooser, chooser.one(names))


def draw_frame(lexicon: Lexicon, chooser: Chooser, name: str, bound: Mapping[str, Filler] | None = None) -> Sentence:
    """One sentence of a frame, at times after an introducing phrase."""
    frame = lexicon.frames[name]
    introduced = frame.endswith((" .", " ۔")) and "/INTJ" not in frame and name != "per_say"
    if introduced and chooser.rng.random() < 0.2:
        frame = f"{chooser.one(lexicon.data['prefixes'])} {frame}"
    return render(lexicon, name, frame, chooser.fill_all(slots(frame), bound))


def tagged(
    lexicon: Lexicon, task: str, weights: Mapping[str, int], without: Collection[str] = ()
) -> dict[str, list[Sentence]]:
    """Sentences of the three splits, each sentence once; train goes `without` some frames."""
    seen: set[tuple[str, ...]] = set()
    splits = {}
    for split, size in SIZES.items():
        chooser = Chooser(lexicon, stream(task, lexicon.lang, split), HELD_OUT[split])
        sentences: list[Sentence] = []
        while len(sentences) < size:
            sentence = draw(lexicon, chooser, weights, without if split == "train" else ())
            if sentence.words not in seen:
                seen.add(sentence.words)
                sentences.append(sentence)
        splits[split] = sentences
    return splits


def panx(lexicon: Lexicon) -> dict[str, str]:
    """Named entities: `panx/<l>/<split>`, lines `l:token<TAB>label`, a blank line between sentences."""
    return {
        f"panx/{lexicon.lang}/{split}": _blocks(
            [[f"{lexicon.lang}:{w}\t{x}" for w, x in zip(s.words, s.labels(), strict=True)] for s in sentences]
        )
        for split, sentences in tagged(lexicon, "panx", PANX).items()
    }


def udpos(lexicon: Lexicon) -> dict[str, str]:
    """Parts of speech: `udpos/<l>/<split>.tsv`, lines `token<TAB>tag`, a blank line between sentences.

    One frame in five never occurs in train, or a small model would make no mistake at all.
    """
    unseen = list(lexicon.frames)[::5]
    return {
        f"udpos/{lexicon.lang}/{split}.tsv": _blocks([[f"{t.word}\t{t.tag}" for t in s.tokens] for s in sentences])
        for split, sentences in tagged(lexicon, "udpos", UDPOS, unseen).items()
    }


def xnli(lexicon: Lexicon) -> dict[str, str]:
    """Inference: `xnli/<l>/<split>.tsv`, each premise with one hypothesis of each label."""
    seen: set[str] = set()
    files = {}
    for split, size in SIZES.items():
        chooser = Chooser(lexicon, stream("xnli", lexicon.lang, split), HELD_OUT[split])
        lines: list[str] = []
        families = cycle(lexicon.data["xnli"])
        while len(lines) < size:
            premise, rows = _inference(lexicon, chooser, next(families))
            if premise not in seen:
                seen.add(premise)
                lines += rows
        files[f"xnli/{lexicon.lang}/{split}.tsv"] = "".join(f"{line}\n" for line in lines)
    return files


def _inference(lexicon: Lexicon, chooser: Chooser, family: dict[str, Any]) -> tuple[str, list[str]]:
    frames = {"premise": family["premise"], **{label: chooser.one(family[label]) for label in LABELS}}
    fillers = chooser.fill_all(slots(" ".join(frames.values())))
    texts = {name: render(lexicon, name, frame, fillers, tagged=False).text for name, frame in frames.items()}
    return texts["premise"], [f"{texts['premise']}\t{texts[label]}\t{label}" for label in LABELS]


def tatoeba(lexicon: Lexicon, english: Lexicon) -> dict[str, str]:
    """Parallel sentences: `tatoeba/<l>-en/{<l>,en}.txt`, one frame with the same slots in both languages."""
    chooser = Chooser(lexicon, stream("tatoeba", lexicon.lang), None)
    names = [name for name in lexicon.frames if _shareable(lexicon, name) and _shareable(english, name)]
    pairs: dict[str, str] = {}
    while len(pairs) < PAIRS:
        name = chooser.one(names)
        both = list(dict.fromkeys(slots(lexicon.frames[name]) + slots(english.frames[name])))
        here, there = _shared_fillers(chooser, english, both)
        texts = [render(x, name, x.frames[name], f).text for x, f in ((lexicon, here), (english, there))]
        if texts[1] not in pairs.values():
            pairs.setdefault(*texts)
    folder = f"tatoeba/{lexicon.lang}-en"
    return {
        f"{folder}/{lexicon.lang}.txt": "".join(f"{line}\n" for line in pairs),
        f"{folder}/en.txt": "".join(f"{line}\n" for line in pairs.values()),
    }


def _shared_fillers(
    chooser: Chooser, english: Lexicon, names: list[str]
) -> tuple[dict[str, Filler], dict[str, Filler]]:
    here: dict[str, Filler] = {}
    there: dict[str, Filler] = {}
    for slot in names:
        kind = slot.rstrip("0123456789")
        pool = SHARED_POOL.get(kind, kind)
        if kind in RANGES:
            here[slot] = there[slot] = chooser.later(here["year"]) if slot == "year2" else chooser.fill(slot)
            continue
        taken = {filler.key for filler in here.values() if filler.kind == pool}
        key = chooser.one([entry.key for entry in chooser.lexicon.pool(pool) if entry.key not in taken])
        here[slot], there[slot] = chooser.lexicon.filler(pool, key), english.filler(pool, key)
    return here, there


def _shareable(lexicon: Lexicon, name: str) -> bool:
    return (
        not name.startswith("own") and {s.rstrip("0123456789") for s in slots(lexicon.frames.get(name, ""))} <= SHARED
    )


def _blocks(sentences: list[list[str]]) -> str:
    return "".join("".join(f"{line}\n" for line in lines) + "\n" for lines in sentences)
