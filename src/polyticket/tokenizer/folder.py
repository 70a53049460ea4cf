"""Hugging Face tokenizer folders: settings and special tokens from all files that state them."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, scratch_folder
from polyticket.core.logs import log
from polyticket.core.text import read_as, read_text
from polyticket.tokenizer.vocabulary import Alphabet, read_vocabulary, vocabulary_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROLES = {"cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "pad": "[PAD]", "mask": "[MASK]", "eos": "</s>"}
"""The name of each special token where no file states it."""
BERT = "BertTokenizer"
CLASSES = {None: BERT, "bert": BERT, "mt5": "T5Tokenizer"}
"""The tokenizer class of a `model_type` where neither tokenizer_config.json nor config.json names one."""
ALIKE = ("DistilBert", "Electra", "ConvBert", "MobileBert", "LayoutLM", "SqueezeBert")
"""Models with BERT's tokenizer."""
T5 = ("T5Tokenizer", "MT5Tokenizer")
"""The same tokenizer: transformers 4 wrote the second name for mT5, and transformers 5 has no such class."""
SEGMENTING = ("BertJapaneseTokenizer", "PhobertTokenizer", "BertweetTokenizer")
"""Classes that read text that another program has segmented or rewritten."""
WHOLE = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes that use tokenizer.json as it is."""
CASE_KEYS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
SENTENCEPIECE = {"spiece.model", "sentencepiece.bpe.model"}
NEEDED = "a tokenizer that Hugging Face runs as a fast one, such as BertTokenizer, from tokenizer.json or vocab.txt"


@dataclass(frozen=True)
class Statement:
    """The settings that a folder states about its tokenizer.

    Attributes:
        folder: The folder.
        tokenizer: The content of tokenizer_config.json; empty if there is none.
        model: The content of config.json; likewise.
    """

    folder: Path
    tokenizer: Mapping[str, Any]
    model: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Statement:
        """Read the statement of a folder."""
        return cls(folder, _table(folder / "tokenizer_config.json"), _table(folder / "config.json"))

    @property
    def class_name(self) -> str:
        """The tokenizer's class, without `Fast` at the end."""
        stated = self.tokenizer.get("tokenizer_class") or self.model.get("tokenizer_class")
        name = str(stated or CLASSES.get(self.model.get("model_type"), BERT)).removesuffix("Fast")
        return BERT if name in [f"{model}Tokenizer" for model in ALIKE] else name

    def _special(self) -> dict[str, Any]:
        older = _table(self.folder / "special_tokens_map.json")
        return {**older, **self.tokenizer} if "added_tokens_decoder" in self.tokenizer else {**self.tokenizer, **older}

    def special(self) -> dict[str, str]:
        """The special tokens that tokenizer_config.json and special_tokens_map.json name, by role.

        As in transformers, the latter has priority, unless the former has a table of added tokens.
        """
        both = self._special()
        return {role: name for role in ROLES if (name := _text(both.get(f"{role}_token")))}

    def vocabulary(self) -> list[str]:
        """The tokens of vocab.txt, which must include every special token that is stated, or usual and not null."""
        both = self._special()
        names = (both.get(f"{role}_token", ROLES[role]) for role in ("pad", "unk", "cls", "sep", "mask"))
        return read_vocabulary(self.folder / "vocab.txt", list(filter(None, map(_text, names))))

    def require_known(self) -> None:
        """Check that no setting changes the tokenization in a way that this package does not support.

        Raises:
            PolyticketError: There is such a setting; names the key or file.
        """
        where, stated = self.folder / "tokenizer_config.json", self.tokenizer
        if self.class_name in SEGMENTING:
            what = f"{self.class_name}, which reads words that another program segments"
            raise PolyticketError(what, where=where if "tokenizer_class" in stated else self.folder, expected=NEEDED)
        for key, known in (("word_tokenizer_type", "basic"), ("subword_tokenizer_type", "wordpiece")):
            if stated.get(key) not in (None, known):
                raise PolyticketError(f"{key} {stated[key]!r}", where=where, expected=known)
        if stated.get("do_basic_tokenize") is False or stated.get("never_split"):
            raise PolyticketError("text is not split as BERT does", where=where, expected="do_basic_tokenize true")
        if "auto_map" in stated:
            raise PolyticketError("auto_map: a tokenizer with code of its own", where=where, expected=NEEDED)
        if (self.folder / "bpe.codes").is_file() and not (self.folder / "tokenizer.json").is_file():
            what = "bpe.codes of fastBPE, for text whose words are segmented before"
            raise PolyticketError(what, where=self.folder, expected=NEEDED)


def load_folder(folder: Path) -> Tokenizer:
    """Load a folder's tokenizer as `transformers.AutoTokenizer` does, and fill in missing settings.

    tokenizer.json is used as it is, unless tokenizer_config.json states another treatment of case for BERT. If no file
    states whether text is lower-cased, the vocabulary decides: without capitals, text is lower-cased; if it has no
    accents either, they are stripped.

    Raises:
        PolyticketError: There is no tokenizer, it is damaged, its files contradict each other, or it is of an unknown
            kind.
    """
    stated, whole = Statement.of(folder), folder / "tokenizer.json"
    stated.require_known()
    if whole.is_file():
        tokenizer = read_tokenizer_json(whole)
        _require_same_tokens(tokenizer, folder)
        if not _is_restated(stated, tokenizer):
            return tokenizer
    with _without_marks(folder) as plain:
        return load_by_transformers(plain, stated).backend_tokenizer


def stated_case(folder: Path) -> dict[str, Any]:
    """The keys of tokenizer_config.json for case, accents and Chinese characters, of a folder's BERT tokenizer.

    Raises:
        PolyticketError: See `load_folder`.
    """
    own = load_folder(folder).normalizer
    if not isinstance(own, BertNormalizer):
        return {}
    return dict(zip(CASE_KEYS, (own.lowercase, own.strip_accents, own.handle_chinese_chars), strict=True))


def read_tokenizer_json(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        PolyticketError: The file is no tokenizer.
    """
    text = read_text(path, expected="a tokenizer.json")
    with read_as("a tokenizer", path):
        return Tokenizer.from_str(text)


@contextmanager
def _without_marks(folder: Path) -> Iterator[Path]:
    """The folder, or a copy of it whose JSON files have no byte order mark, which transformers cannot read."""
    marked = [path for path in folder.glob("*.json") if path.read_bytes().startswith(BOM_UTF8)]
    if not marked:
        yield folder
        return
    with scratch_folder() as scratch:
        for path in folder.iterdir():
            copy = scratch / path.name
            if path in marked:
                copy.write_bytes(path.read_bytes().removeprefix(BOM_UTF8))
            else:
                copy.symlink_to(path.absolute())
        yield scratch


def load_by_transformers(folder: Path, stated: Statement) -> PreTrainedTokenizerFast:
    """Load a folder by its tokenizer class.

    Args:
        folder: The files that transformers reads.
        stated: The statement of the folder, which errors name.

    Raises:
        PolyticketError: See `load_folder`.
    """
    import transformers

    name, files = stated.class_name, {path.name for path in folder.iterdir()}
    kind, where = f"tokenizer of class {name}", stated.folder
    if "tokenizer.json" not in files:
        for file in files & SENTENCEPIECE:
            _require_sentencepiece(where / file)
    if name in T5:
        tokenizer = call_loader(where, kind, lambda: transformers.T5Tokenizer.from_pretrained(str(folder)))
        rows = stated.model.get("vocab_size")
        if "extra_ids" not in stated.tokenizer and rows and len(tokenizer) > rows:
            tokenizer = call_loader(
                where, kind, lambda: transformers.T5Tokenizer.from_pretrained(str(folder), extra_ids=0)
            )
        return tokenizer
    if name != BERT:
        return call_loader(where, kind, lambda: _auto(folder))
    if "vocab.txt" not in files and "tokenizer.json" not in files:
        if models := sorted(file for file in files if file.endswith(".model")):
            what = f"{models[0]}, but no file states its tokenizer class"
            raise PolyticketError(what, where=where, expected="tokenizer_class in tokenizer_config.json")
        raise PolyticketError("no tokenizer in this folder", where=where, expected="tokenizer.json or vocab.txt")
    extra: dict[str, Any] = {}
    if "tokenizer.json" not in files:
        tokens = stated.vocabulary()
        extra = {"vocab": {token: number for number, token in enumerate(tokens)}, **_case(stated, tokens)}
    return call_loader(where, kind, lambda: transformers.BertTokenizer.from_pretrained(str(folder), **extra))


def _require_sentencepiece(path: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    try:
        SentencePieceProcessor(model_proto=path.read_bytes() or b"\0")  # no bytes would mean: to be loaded later
    except RuntimeError:  # which names its own source files
        raise PolyticketError("not a SentencePiece model, or cut short", where=path) from None


def call_loader(source: Pathlike, name: str, load: Any) -> PreTrainedTokenizerFast:
    """Call a loader of transformers, which must give a fast tokenizer.

    Args:
        source: The folder or name, for errors.
        name: What is loaded, for errors.
        load: The loader.

    Raises:
        PolyticketError: The loader gives no fast tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    try:
        tokenizer = load()
    except PolyticketError:
        raise
    except Exception as error:  # of many libraries, with classes of their own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PolyticketError(f"no {name}: {reason}", where=source, expected=NEEDED) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise PolyticketError(f"a {type(tokenizer).__name__}", where=source, expected=NEEDED)
    files = sorted(set(type(tokenizer).vocab_files_names.values()))
    if Path(source).is_dir() and not any((Path(source) / name).is_file() for name in files):
        raise PolyticketError(f"no files of a {name}", where=source, expected=" or ".join(files))
    return tokenizer


def special_names(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """The name of each special token: as the folder states it, or else as the tokenizer uses it.

    Args:
        folder: A tokenizer or model folder; any other path states nothing.
        tokenizer: The loaded tokenizer.

    Returns:
        A name for each of `ROLES`, whether the tokenizer has it or not.
    """
    stated = Statement.of(folder).special() if folder.is_dir() else {}
    missing = [role for role, name in ROLES.items() if role not in stated and tokenizer.token_to_id(name) is None]
    return ROLES | (_used_special(tokenizer) if missing else {}) | stated


def _used_special(tokenizer: Tokenizer) -> dict[str, str]:
    """Special tokens by their use in a tokenizer: its unknown token, the tokens around text, and added tokens."""
    parts = json.loads(tokenizer.to_str())
    model, around = parts["model"], parts["post_processor"] or {}
    unknown = model.get("unk_token")
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    names = {"unk": unknown, "cls": around.get("cls", [None])[0], "sep": around.get("sep", [None])[0]}
    if template := around.get("single"):
        text = next(index for index, item in enumerate(template) if "Sequence" in item)
        for role, items in (("cls", template[:text]), ("sep", template[text + 1 :])):
            names[role] = next((item["SpecialToken"]["id"] for item in items), None)
    for added in parts["added_tokens"]:
        role = added["content"].strip("[]<>").lower()
        if added["special"] and role in ("pad", "mask"):
            names.setdefault(role, added["content"])
    return {role: name for role, name in names.items() if name}


def _is_restated(stated: Statement, tokenizer: Tokenizer) -> bool:
    """Whether tokenizer_config.json states BERT's treatment of case, which overrides tokenizer.json."""
    if stated.class_name != BERT:
        return False
    if not isinstance(tokenizer.model, WordPiece):
        name = stated.tokenizer.get("tokenizer_class")
        if name is None:
            return False
        what = f"{name}, but tokenizer.json holds a {type(tokenizer.model).__name__} model"
        raise PolyticketError(what, where=stated.folder / "tokenizer_config.json", expected=" or ".join(WHOLE[1:]))
    return any(stated.tokenizer.get(key) is not None for key in CASE_KEYS)


def _case(stated: Statement, tokens: list[str]) -> dict[str, Any]:
    """BERT's treatment of case that tokenizer_config.json does not state: from config.json, or from the tokens."""
    if stated.tokenizer.get("do_lower_case") is not None:
        return {}
    settings = {key: stated.model[key] for key in CASE_KEYS if stated.model.get(key) is not None}
    if "do_lower_case" not in settings:
        alphabet = Alphabet(tokens)
        settings["do_lower_case"] = not alphabet.has_capitals
        if settings["do_lower_case"] and stated.tokenizer.get("strip_accents", settings.get("strip_accents")) is None:
            settings["strip_accents"] = not alphabet.has_accents
    listed = ", ".join(f"{key} {str(value).lower()}" for key, value in settings.items())
    log.info(f"{stated.folder}: tokenizer_config.json does not state the case; the tokens give {listed}")
    return settings


def _require_same_tokens(tokenizer: Tokenizer, folder: Path) -> None:
    """Check that a vocab.txt has the same ids as the tokenizer.json beside it."""
    path = folder / "vocab.txt"
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8-sig", errors="replace").rstrip("\n").split("\n")
    if vocabulary_of(tokenizer)[: len(lines)] == lines:
        return
    for number, token in enumerate(lines):
        if tokenizer.token_to_id(token) != number:
            other = tokenizer.id_to_token(number)
            what = f"{token!r}, but tokenizer.json has {'nothing' if other is None else repr(other)} there"
            raise PolyticketError(what, where=f"{path}:{number + 1}", expected="the same tokens, or one file alone")


def _auto(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def _table(path: Path) -> dict[str, Any]:
    """The table in a JSON file; empty if there is no such file."""
    table = read_json(path) if path.is_file() else {}
    if not isinstance(table, dict):
        raise PolyticketError("no table", where=path, expected="a JSON object")
    return table


def _text(token: Any) -> str:
    return str((token.get("content") if isinstance(token, dict) else token) or "")
