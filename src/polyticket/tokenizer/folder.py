"""Tokenizer folders as Hugging Face users have them: settings and special tokens from wherever a folder states them."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.core.logs import log
from polyticket.tokenizer.vocabulary import Alphabet, read_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROLES = {"cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "pad": "[PAD]", "mask": "[MASK]", "eos": "</s>"}
"""What each special token is called where nothing says so."""
BERT = "BertTokenizer"
CLASSES = {None: BERT, "bert": BERT, "mt5": "T5Tokenizer"}
"""The tokenizer class of a `model_type` where neither tokenizer_config.json nor config.json names one."""
ALIKE = ("DistilBert", "Electra", "ConvBert", "MobileBert", "LayoutLM", "SqueezeBert")
"""Models whose tokenizers are BERT's."""
T5 = ("T5Tokenizer", "MT5Tokenizer")
"""One tokenizer: transformers 4 wrote the second name for mT5, and transformers 5 has no such class."""
SEGMENTING = ("BertJapaneseTokenizer", "PhobertTokenizer", "BertweetTokenizer")
"""Classes that read text whose words another program has segmented or rewritten."""
WHOLE = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes that take tokenizer.json as it is."""
CASE_KEYS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
NEEDED = "a tokenizer that Hugging Face runs as a fast one, such as BertTokenizer, from tokenizer.json or vocab.txt"


@dataclass(frozen=True)
class Statement:
    """What a folder says about its tokenizer.

    Attributes:
        folder: The folder.
        tokenizer: The content of tokenizer_config.json; empty where there is none.
        model: The content of config.json; likewise.
    """

    folder: Path
    tokenizer: Mapping[str, Any]
    model: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Statement:
        """Read it."""
        return cls(folder, _table(folder / "tokenizer_config.json"), _table(folder / "config.json"))

    @property
    def class_name(self) -> str:
        """The tokenizer's class, without `Fast` at its end."""
        stated = self.tokenizer.get("tokenizer_class") or self.model.get("tokenizer_class")
        name = str(stated or CLASSES.get(self.model.get("model_type"), BERT)).removesuffix("Fast")
        return BERT if name in [f"{model}Tokenizer" for model in ALIKE] else name

    def _special(self) -> dict[str, Any]:
        older = _table(self.folder / "special_tokens_map.json")
        return {**older, **self.tokenizer} if "added_tokens_decoder" in self.tokenizer else {**self.tokenizer, **older}

    def special(self) -> dict[str, str]:
        """The special tokens that tokenizer_config.json and special_tokens_map.json name, by role.

        The latter has the last word, unless the former has a table of its own, as in transformers.
        """
        both = self._special()
        return {role: _text(both[f"{role}_token"]) for role in ROLES if both.get(f"{role}_token")}

    def vocabulary(self) -> list[str]:
        """The pieces of vocab.txt, among them every special token that is stated or usual and not stated to be none."""
        both = self._special()
        names = (both.get(f"{role}_token", ROLES[role]) for role in ("pad", "unk", "cls", "sep", "mask"))
        return read_vocabulary(self.folder / "vocab.txt", [_text(name) for name in names if name])

    def require_known(self) -> None:
        """Refuse what changes how text is cut and is not done here.

        Raises:
            PolyticketError: There is such a thing; names the key or file.
        """
        where, said = self.folder / "tokenizer_config.json", self.tokenizer
        if self.class_name in SEGMENTING:
            what = f"{self.class_name}, which reads words that another program segments"
            raise PolyticketError(what, where=where if "tokenizer_class" in said else self.folder, expected=NEEDED)
        for key, known in (("word_tokenizer_type", "basic"), ("subword_tokenizer_type", "wordpiece")):
            if said.get(key) not in (None, known):
                raise PolyticketError(f"{key} {said[key]!r}", where=where, expected=known)
        if said.get("do_basic_tokenize") is False or said.get("never_split"):
            raise PolyticketError("text is not split as BERT does", where=where, expected="do_basic_tokenize true")
        if "auto_map" in said:
            raise PolyticketError("auto_map: a tokenizer with code of its own", where=where, expected=NEEDED)
        if (self.folder / "bpe.codes").is_file() and not (self.folder / "tokenizer.json").is_file():
            what = "bpe.codes of fastBPE, for text whose words are segmented before"
            raise PolyticketError(what, where=self.folder, expected=NEEDED)


def load_folder(folder: Path) -> Tokenizer:
    """Load a folder's tokenizer as `transformers.AutoTokenizer` does, with settings that are missing filled in.

    tokenizer.json is taken as it is, unless tokenizer_config.json states otherwise how BERT treats case. Where nothing
    states whether text is lower-cased, the vocabulary tells: one without capitals is uncased, and its accents are
    stripped if it has none.

    Raises:
        PolyticketError: There is none, it is damaged, its files contradict each other, or it is of an unknown kind.
    """
    stated, whole = Statement.of(folder), folder / "tokenizer.json"
    stated.require_known()
    if whole.is_file():
        tokenizer = read_whole(whole)
        _require_same_pieces(tokenizer, folder)
        if not _is_restated(stated, tokenizer):
            return tokenizer
    with _without_marks(folder) as plain:
        return by_transformers(plain, stated).backend_tokenizer


def stated_case(folder: Path) -> dict[str, Any]:
    """How a folder's BERT tokenizer treats case, accents and Chinese characters, as tokenizer_config.json states it.

    Raises:
        PolyticketError: See `load_folder`.
    """
    own = load_folder(folder).normalizer
    if not isinstance(own, BertNormalizer):
        return {}
    return dict(zip(CASE_KEYS, (own.lowercase, own.strip_accents, own.handle_chinese_chars), strict=True))


def read_whole(path: Path) -> Tokenizer:
    """Read a tokenizer.json.

    Raises:
        PolyticketError: It is none.
    """
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8-sig"))
    except Exception as error:  # the library raises nothing more exact
        raise PolyticketError(f"not a tokenizer: {error}", where=path) from error


@contextmanager
def _without_marks(folder: Path) -> Iterator[Path]:
    """A folder whose JSON files have no byte order mark, which transformers does not read: itself, or copies."""
    marked = [path for path in folder.glob("*.json") if path.read_bytes().startswith(BOM_UTF8)]
    if not marked:
        yield folder
        return
    with TemporaryDirectory() as place:
        for path in folder.iterdir():
            copy = Path(place, path.name)
            if path in marked:
                copy.write_bytes(path.read_bytes().removeprefix(BOM_UTF8))
            else:
                copy.symlink_to(path.absolute())
        yield Path(place)


def by_transformers(folder: Path, stated: Statement) -> PreTrainedTokenizerFast:
    """Load a folder by its tokenizer class.

    Args:
        folder: The files that transformers reads.
        stated: What they say, and the folder that errors name.

    Raises:
        PolyticketError: See `load_folder`.
    """
    import transformers

    name, files = stated.class_name, {path.name for path in folder.iterdir()}
    kind, where = f"tokenizer of class {name}", stated.folder
    if name in T5:
        found = fast(where, kind, lambda: transformers.T5Tokenizer.from_pretrained(str(folder)))
        rows = stated.model.get("vocab_size")
        if "extra_ids" not in stated.tokenizer and rows and len(found) > rows:
            found = fast(where, kind, lambda: transformers.T5Tokenizer.from_pretrained(str(folder), extra_ids=0))
        return found
    if name != BERT:
        return fast(where, kind, lambda: _auto(folder))
    if "vocab.txt" not in files and "tokenizer.json" not in files:
        if models := sorted(one for one in files if one.endswith(".model")):
            what = f"{models[0]}, and nothing says of which class"
            raise PolyticketError(what, where=where, expected="tokenizer_class in tokenizer_config.json")
        raise PolyticketError("no tokenizer in this folder", where=where, expected="tokenizer.json or vocab.txt")
    extra: dict[str, Any] = {}
    if "tokenizer.json" not in files:
        pieces = stated.vocabulary()
        extra = {"vocab": {piece: number for number, piece in enumerate(pieces)}, **_case(stated, pieces)}
    return fast(where, kind, lambda: transformers.BertTokenizer.from_pretrained(str(folder), **extra))


def fast(source: Pathlike, name: str, load: Any) -> PreTrainedTokenizerFast:
    """What a loader of transformers gives, which has to be a fast tokenizer.

    Raises:
        PolyticketError: It gives none.
    """
    from transformers import PreTrainedTokenizerFast

    try:
        found = load()
    except PolyticketError:
        raise
    except Exception as error:  # of many libraries, each of which says in its own way what is wrong with a file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise PolyticketError(f"no {name}: {reason}", where=source, expected=NEEDED) from error
    if not isinstance(found, PreTrainedTokenizerFast):
        raise PolyticketError(f"a {type(found).__name__}", where=source, expected=NEEDED)
    files = sorted(set(type(found).vocab_files_names.values()))
    if Path(source).is_dir() and not any((Path(source) / name).is_file() for name in files):
        raise PolyticketError(f"no files of a {name}", where=source, expected=" or ".join(files))
    return found


def special_names(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """What each special token is called: as the folder states it, or else as the tokenizer itself shows it.

    Args:
        folder: A tokenizer or model folder; a path that is none states nothing.
        tokenizer: What was loaded.

    Returns:
        A name for each of `ROLES`, whether the tokenizer has it or not.
    """
    stated = Statement.of(folder).special() if folder.is_dir() else {}
    lost = [role for role, name in ROLES.items() if role not in stated and tokenizer.token_to_id(name) is None]
    return ROLES | (_shown(tokenizer) if lost else {}) | stated


def _shown(tokenizer: Tokenizer) -> dict[str, str]:
    """Special tokens by what a tokenizer does with them: its unknown token, those it puts around text, added ones."""
    said = json.loads(tokenizer.to_str())
    model, around = said["model"], said["post_processor"] or {}
    unknown = model.get("unk_token")
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    found = {"unk": unknown, "cls": around.get("cls", [None])[0], "sep": around.get("sep", [None])[0]}
    if template := around.get("single"):
        text = next(place for place, part in enumerate(template) if "Sequence" in part)
        for role, parts in (("cls", template[:text]), ("sep", template[text + 1 :])):
            found[role] = next((part["SpecialToken"]["id"] for part in parts), None)
    for one in said["added_tokens"]:
        role = one["content"].strip("[]<>").lower()
        if one["special"] and role in ("pad", "mask"):
            found.setdefault(role, one["content"])
    return {role: name for role, name in found.items() if name}


def _is_restated(stated: Statement, tokenizer: Tokenizer) -> bool:
    """Whether tokenizer_config.json states for BERT's class how text of tokenizer.json is to be treated."""
    if stated.class_name != BERT:
        return False
    if not isinstance(tokenizer.model, WordPiece):
        name = stated.tokenizer.get("tokenizer_class")
        if name is None:
            return False
        what = f"{name}, but tokenizer.json holds a {type(tokenizer.model).__name__} model"
        raise PolyticketError(what, where=stated.folder / "tokenizer_config.json", expected=" or ".join(WHOLE[1:]))
    return any(stated.tokenizer.get(key) is not None for key in CASE_KEYS)


def _case(stated: Statement, pieces: list[str]) -> dict[str, Any]:
    """How BERT treats case where tokenizer_config.json does not say: as config.json says, or as the pieces are."""
    if stated.tokenizer.get("do_lower_case") is not None:
        return {}
    found = {key: stated.model[key] for key in CASE_KEYS if stated.model.get(key) is not None}
    if "do_lower_case" not in found:
        alphabet = Alphabet(pieces)
        found["do_lower_case"] = not alphabet.has_capitals
        if found["do_lower_case"] and stated.tokenizer.get("strip_accents", found.get("strip_accents")) is None:
            found["strip_accents"] = not alphabet.has_accents
    told = ", ".join(f"{key} {str(value).lower()}" for key, value in found.items())
    log.info(f"{stated.folder}: tokenizer_config.json says nothing of case; as its pieces are: {told}")
    return found


def _require_same_pieces(tokenizer: Tokenizer, folder: Path) -> None:
    """Refuse a vocab.txt that numbers pieces otherwise than the tokenizer.json beside it."""
    path = folder / "vocab.txt"
    if not path.is_file():
        return
    ids = tokenizer.get_vocab(with_added_tokens=True)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").rstrip("\n").split("\n")
    for number, piece in enumerate(lines):
        if ids.get(piece) != number:
            other = tokenizer.id_to_token(number)
            what = f"{piece!r}, but tokenizer.json has {'nothing' if other is None else repr(other)} there"
            raise PolyticketError(what, where=f"{path}:{number + 1}", expected="the same pieces, or one file alone")


def _auto(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def _table(path: Path) -> dict[str, Any]:
    """The table in a JSON file; empty where there is no such file."""
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise PolyticketError("no table", where=path, expected="a JSON object")
    return found


def _text(piece: Any) -> str:
    return str(piece["content"] if isinstance(piece, dict) else piece)
