"""The loader of all tokenizers (cased BERT WordPiece, Hugging Face folders and names), and the writer of folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram, WordPiece

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_json, write_text, written_beside
from polyticket.tokenizer.folder import CASE_KEYS, Statement, call_loader, load_folder, read_tokenizer_json
from polyticket.tokenizer.vocabulary import SPECIAL_TOKENS, UNKNOWN, check_vocabulary, read_vocabulary, vocabulary_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "SPECIAL_TOKENS",
    "UNKNOWN",
    "cased_normalizer",
    "check_vocabulary",
    "load_fast",
    "load_for_text",
    "load_tokenizer",
    "read_vocabulary",
    "vocabulary_of",
    "wordpiece",
    "write_tokenizer",
]
LONGEST_WORD = 200
"""The characters of a word, at most, as in the original BERT; a longer word becomes ``[UNK]``."""


def wordpiece(tokens: Sequence[str]) -> Tokenizer:
    """Make the cased BERT tokenizer of a vocabulary.

    Control characters are removed. Text is split at white space, at punctuation and around each CJK character. Case and
    accents stay. Sequences become ``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]``.

    Args:
        tokens: The tokens, by id from 0.

    Raises:
        PolyticketError: See `check_vocabulary`.
    """
    check_vocabulary(tokens, "vocabulary")
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD))
    tokenizer.normalizer = cased_normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return tokenizer


def cased_normalizer() -> normalizers.BertNormalizer:
    """BERT's normaliser without lower-casing or accent stripping."""
    return normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False)


def load_fast(source: Pathlike, *, of_model: bool = False) -> Tokenizer:
    """Load the bare tokenizer. A file, or a folder with a tokenizer, is loaded without importing transformers.

    Args:
        source: See `load_tokenizer`.
        of_model: Whether the tokenizer is that of a given model: its settings are followed, and it may change case.

    Raises:
        PolyticketError: See `load_tokenizer`.
    """
    path = Path(source)
    if path.is_file():
        tokenizer = read_tokenizer_json(path) if path.suffix == ".json" else wordpiece(read_vocabulary(path))
    elif path.is_dir() and (of_model or _has_settings(path)):
        tokenizer = load_folder(path)
    elif (path / "vocab.txt").is_file():
        tokenizer = wordpiece(read_vocabulary(path / "vocab.txt"))
    else:
        tokenizer = _from_hub(source).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _with_bytes(_checked(tokenizer, source, any_case=of_model))


def load_for_text(source: Pathlike, *, of_model: bool = False) -> Tokenizer:
    """Load the bare tokenizer for plain text: a word such as ``[SEP]`` in the text is split like any other word.

    Args:
        source: See `load_tokenizer`.
        of_model: See `load_fast`.

    Raises:
        PolyticketError: See `load_tokenizer`.
    """
    tokenizer = load_fast(source, of_model=of_model)
    tokenizer.encode_special_tokens = True
    return tokenizer


def load_tokenizer(source: Pathlike) -> PreTrainedTokenizerFast:
    """Load a tokenizer.

    Args:
        source: A folder with ``tokenizer.json`` or ``vocab.txt``, one of these files, or a Hugging Face name.

    Returns:
        A tokenizer that keeps case, with ids from 0 without a gap.

    Raises:
        PolyticketError: There is no such file, folder or name, it cannot be reached, its vocabulary is damaged, or it
            lower-cases or strips accents.
    """
    path = Path(source)
    if (path / "tokenizer.json").is_file() and (path / "tokenizer_config.json").is_file():
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
    elif path.is_file() or (path / "tokenizer.json").is_file() or (path / "vocab.txt").is_file():
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_fast(source), **_settings())
    else:
        tokenizer = _from_hub(source)
    _checked(tokenizer.backend_tokenizer, source)
    return tokenizer


def write_tokenizer(source: Sequence[str] | Pathlike, folder: Pathlike) -> None:
    """Write a folder that `load_tokenizer` and ``transformers.AutoTokenizer`` load without a network.

    Args:
        source: The tokens by id, or what `load_fast` takes.
        folder: The folder to write: ``tokenizer.json``, ``tokenizer_config.json`` and, for WordPiece, ``vocab.txt``.

    Raises:
        PolyticketError: See `load_tokenizer`.
    """
    listed = None if isinstance(source, (str, Path)) or not isinstance(source, Sequence) else list(source)
    tokenizer = wordpiece(listed) if listed is not None else load_fast(source)  # type: ignore[arg-type]
    with written_beside(folder, folder=True) as temporary:
        if not isinstance(tokenizer.model, WordPiece):
            load_tokenizer(source).save_pretrained(str(temporary))  # type: ignore[arg-type]
            return
        tokens = vocabulary_of(tokenizer)
        check_vocabulary(tokens, folder)
        tokenizer.save(str(temporary / "tokenizer.json"))
        write_text(temporary / "vocab.txt", "".join(f"{token}\n" for token in tokens))
        write_json(temporary / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **_settings()})


def _settings() -> dict[str, Any]:
    """The settings of a BERT tokenizer of transformers."""
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return {
        **dict(zip(names, SPECIAL_TOKENS, strict=True)),
        "do_lower_case": False,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }


def _has_settings(folder: Path) -> bool:
    """Whether a folder states more about its tokenizer than the tokens of a vocabulary."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return True
    return not Statement.of(folder).model.keys().isdisjoint(CASE_KEYS)


def _from_hub(source: Pathlike) -> PreTrainedTokenizerFast:
    if Path(source).is_dir():
        raise PolyticketError("no tokenizer in this folder", where=source, expected="tokenizer.json or vocab.txt")
    if Path(source).is_absolute() or Path(source).suffix in (".txt", ".json"):
        raise PolyticketError("no such file or folder", where=source)
    from transformers import AutoTokenizer

    return call_loader(
        source, "such folder, and no tokenizer from Hugging Face", lambda: AutoTokenizer.from_pretrained(str(source))
    )


def _with_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Let a SentencePiece vocabulary that has a token for each byte spell unknown characters by bytes.

    Models such as mT5 were pretrained with this setting, which the converter to fast tokenizers leaves out.
    """
    if not isinstance(tokenizer.model, Unigram) or any(
        tokenizer.token_to_id(f"<0x{n:02X}>") is None for n in range(256)
    ):
        return tokenizer
    parts = json.loads(tokenizer.to_str())
    parts["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(parts))


def _checked(tokenizer: Tokenizer, source: object, *, any_case: bool = False) -> Tokenizer:
    """The tokenizer, if its ids have no gaps and, unless `any_case`, it keeps case and accents."""
    if len(vocabulary_of(tokenizer)) < tokenizer.get_vocab_size():
        ids = tokenizer.get_vocab().values()
        raise PolyticketError(f"{len(ids)} entries have ids up to {max(ids)}", where=source)
    own = tokenizer.normalizer
    if not any_case and own is not None and "É" not in normalize("NFC", own.normalize_str("É")):
        raise PolyticketError("this tokenizer loses case or accents", where=source, expected="a cased tokenizer")
    return tokenizer
