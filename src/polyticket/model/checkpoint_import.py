"""Import of TensorFlow and PyTorch checkpoints, published masks included, as model folders."""

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, require_replaceable, written_beside
from polyticket.core.languages import CODES, is_code
from polyticket.core.logs import log
from polyticket.core.text import read_text, refuse_pointer
from polyticket.model.folder import MODEL_FILES, TOKENIZER_FILES, Model, named_model, never_pruned, write_model
from polyticket.model.mask_methods import MaskMethod, checked_method, is_mask, masks_some
from polyticket.model.settings import (
    CONFIG,
    PUBLISHED,
    Settings,
    check_settings,
    kind_of,
    masks_of,
    published_method,
)
from polyticket.model.shape import BertShape
from polyticket.model.tensors import PICKLED, WEIGHTS, Found, load_tensors, read_tensors, require_masks
from polyticket.tokenizer.wordpiece import load_for_text

TRAINED_WITH = {"layer_norm_eps": 1e-3, "hidden_act": "gelu_new"}
"""What the published system's TensorFlow side computes with, whatever its configurations say."""
CONFIGS = (CONFIG, "bert_config.json")


def import_checkpoint(
    source: Pathlike,
    out: Pathlike,
    *,
    config: Pathlike | None = None,
    tokenizer: Pathlike | None = None,
    languages: tuple[str, ...] | None = None,
    mask_method: MaskMethod | None = None,
    computed: Mapping[str, Any] | None = None,
) -> Model:
    """Write a checkpoint as a model folder, bit for bit: all of it, or nothing.

    Args:
        source: A name-based TensorFlow checkpoint (its folder, or its prefix such as `model.ckpt-1000000`); or a
            PyTorch or safetensors file, or the folder of one. Of PyTorch's files tensors alone are unpickled.
        out: The folder to write; a former one is replaced.
        config: A `config.json` or `bert_config.json`; None for the one beside the weights.
        tokenizer: A folder of tokenizer files; None for those beside the weights, if there are some.
        languages: Whose rows the masks hold; None for what the configuration says, else the 103 in order.
        mask_method: At which sites the masks mask; None for what the configuration says, else everywhere.
        computed: `layer_norm_eps` and `hidden_act`, where another is meant than the configuration's or, for masks of
            the published system, than `TRAINED_WITH`.

    Returns:
        The model.

    Raises:
        PolyticketError: A file is missing or damaged, a tensor is missing, misshapen or not understood, or the masks
            are of another number of languages.
    """
    source = Path(source)
    if not source.exists() and not Path(f"{source}.index").exists():
        raise PolyticketError("no such file", where=source, expected="a checkpoint, its folder or its prefix")
    if source.suffix in (".index", ".meta") or ".data-" in source.name:
        prefix = source.with_suffix("")
        raise PolyticketError("one of the files of a checkpoint", where=source, expected=f"their prefix, {prefix}")
    folder = source if source.is_dir() else source.parent
    require_replaceable(out, MODEL_FILES, CONFIG, source if source.exists() else folder, config, tokenizer)
    path = Path(config) if config else _config_in(folder)
    settings, where = _settings(path), path
    found = _found(source)
    rows = _rows(found)
    ours = "polyticket" in settings
    if rows is not None and not ours:
        settings |= TRAINED_WITH
    settings |= computed or {}
    check_settings(settings, "bert", where)
    codes, method = _masks(settings, rows, languages, mask_method, where)
    model = _model(found, settings, codes, method, where)
    if rows is not None and not ours:
        said = {key: settings[key] for key in TRAINED_WITH}
        log.info(f"{out}: masks of the published system, so its model's {said}")
    beside = any(path.name.startswith(TOKENIZER_FILES) for path in folder.iterdir())
    files = tokenizer or (folder if beside else None)
    if files is None:
        log.warning(f"{out}: no tokenizer beside the weights, so none is copied; --tokenizer names one")
    else:
        _check_tokenizer(files, model.shape)
    with written_beside(out, folder=True) as place:
        write_model(model, place, tokenizer=files)
    return model


def read_codes(given: str) -> tuple[str, ...]:
    """Language codes in the order of rows: separated by commas, or one a line in a file of that name."""
    if not os.path.isfile(given):  # false for what is too long for a name
        return tuple(code for part in given.split(",") if (code := part.strip()))
    lines = [line.strip() for line in read_text(given).split("\n")]
    for number, code in enumerate(lines, 1):
        if code and not is_code(code):
            raise PolyticketError(f"{code!r}", where=f"{given}:{number}", expected="one language code a line")
    return tuple(filter(None, lines))


def _config_in(folder: Path) -> Path:
    if found := [folder / name for name in CONFIGS if (folder / name).is_file()]:
        return found[0]
    raise PolyticketError("no configuration beside the weights", where=folder, expected=" or ".join(CONFIGS))


def _settings(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise PolyticketError("no table of settings", where=path, expected="an object, as in config.json")
    if (kind := kind_of(found, path)) != "bert":
        raise PolyticketError(f"model_type {kind!r}", where=path, expected="bert")
    return found


def _found(source: Path) -> Found:
    """The tensors of a checkpoint, by the names that they have there."""
    if source.suffix in (*PICKLED, ".safetensors"):
        refuse_pointer(source)
        return Found(load_tensors(source), source)
    if any((source / name).is_file() for name in WEIGHTS):
        return read_tensors(source)
    from polyticket.model.tf_checkpoint import read_checkpoint  # TensorFlow is heavy, and needed for this alone

    prefix = _prefix(source)
    for path in prefix.parent.glob(f"{glob.escape(prefix.name)}.*"):
        refuse_pointer(path)
    return Found(read_checkpoint(prefix), prefix)


def _prefix(source: Path) -> Path:
    """The prefix of a TensorFlow checkpoint's files; a folder's own, whatever its file `checkpoint` says.

    Raises:
        PolyticketError: A folder holds none, or several.
    """
    if not source.is_dir():
        return source
    found = sorted(path.with_suffix("") for path in source.glob("*.index"))
    if len(found) != 1:
        told = f"{len(found)} checkpoints ({', '.join(one.name for one in found)})" if found else "no weights"
        expected = f"one checkpoint: {found[-1]}" if found else f"a TensorFlow checkpoint, or {' or '.join(WEIGHTS)}"
        raise PolyticketError(told, where=source, expected=expected)
    return found[0]


def _is_of_tensorflow(found: Found) -> bool:
    return any("/" in name for name in found.arrays)


def _rows(found: Found) -> int | None:
    """How many languages the masks have; None without masks.

    Raises:
        PolyticketError: They have not all the same number.
    """
    masks = {name: array for name, array in found.arrays.items() if is_mask(name)}
    counts: dict[int, str] = {}
    for name, array in masks.items():
        if array.ndim != 2:
            raise PolyticketError(f"{name} has shape {list(array.shape)}", where=found.where, expected="[languages, n]")
        counts.setdefault(len(array), name)
    if len(counts) > 1:
        told = " and ".join(f"{name} of {count}" for count, name in counts.items())
        raise PolyticketError(f"{told} languages", where=found.where, expected="one number of languages")
    return next(iter(counts), None)


def _masks(
    settings: Settings,
    rows: int | None,
    languages: tuple[str, ...] | None,
    mask_method: MaskMethod | None,
    where: Path,
) -> tuple[tuple[str, ...], MaskMethod]:
    """The languages of the masks' rows, and at which sites they mask."""
    if rows is None:
        if languages or mask_method is not None:
            raise PolyticketError(
                "no masks in these weights", where=where, expected="neither languages nor mask method"
            )
        keys = [key for key in PUBLISHED if settings.get(key) is not None]
        if keys and masks_some(published_method(settings, where)):
            raise PolyticketError(
                f"{keys[0]}, and no masks in the weights", where=where, expected="masks, or no such key"
            )
        return masks_of({key: value for key, value in settings.items() if key not in PUBLISHED}, where)
    stated, method = masks_of(settings, where) if "polyticket" in settings else ((), published_method(settings, where))
    codes = languages or stated or (CODES if rows == len(CODES) else ())
    bad = [code for code in codes if not is_code(code)]
    if bad or len(set(codes)) < len(codes):
        raise PolyticketError(f"languages {', '.join(bad or codes)}", where="--languages", expected="codes, each once")
    said = settings.get("total_languages", rows)
    if rows != len(codes) or said != rows:
        told = f"masks of {rows} languages, " + (f"total_languages {said}" if said != rows else f"{len(codes)} codes")
        raise PolyticketError(told, where=where, expected=f"--languages with {rows} codes, in the order of the rows")
    return codes, method if mask_method is None else checked_method(mask_method, "--mask-method")


def _model(found: Found, settings: Settings, languages: tuple[str, ...], method: MaskMethod, where: Path) -> Model:
    if not _is_of_tensorflow(found):
        return named_model(found, settings, languages, method, where)
    from polyticket.model.tf_checkpoint import variables_model

    variables: Mapping[str, NDArray[np.generic]] = found.arrays
    model = variables_model(variables, BertShape.from_config(settings, where), languages, method)
    masks = never_pruned(model.masks, settings)
    require_masks(masks, where)
    return Model(model.shape, model.weights, masks, languages, method)


def _check_tokenizer(files: Pathlike, shape: BertShape) -> None:
    size = load_for_text(files, of_model=True).get_vocab_size()
    if size > shape.vocab_size:
        expected = f"at most {shape.vocab_size}, the rows of word embeddings"
        raise PolyticketError(f"a tokenizer of {size} tokens", where=files, expected=expected)
