"""The keys of a Hugging Face `config.json`: each is applied, has no effect, or is an error."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.core.languages import CODES
from polyticket.model.mask_methods import METHODS, MaskMethod, checked_method

CONFIG = "config.json"
OURS = ("languages", "mask_method", "plain_load", "compact")
PUBLISHED_METHODS = {
    "attention_mask_method": "attention",
    "value_attention_mask_method": "value",
    "intermediate_mask_method": "intermediate",
    "pool_mask_method": "pool",
    "output_mask_method": None,
    "layer_mask_method": None,
}
"""What the published system (Lee & Hwang 2023) calls the mask method of each kind of site; None: never pruned."""
PUBLISHED = ("total_languages", *PUBLISHED_METHODS)
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """What a value must be.

    Attributes:
        says: In words.
        holds: Whether a value is that.
    """

    says: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


COUNT = Check("a whole number from 1 to 10,000,000", lambda value: _is_whole(value) and 1 <= value <= 10**7)
LAYERS = Check("a whole number from 1 to 1,000", lambda value: _is_whole(value) and 1 <= value <= 1000)
TOKEN_ID = Check("a token id", lambda value: _is_whole(value) and value >= 0)
POSITIVE = Check("a number above 0", lambda value: _is_number(value) and value > 0)
DEVIATION = Check("a number from 0", lambda value: _is_number(value) and value >= 0)
SHARE = Check("a number from 0, below 1", lambda value: _is_number(value) and 0 <= value < 1)
NAME = Check("a name", lambda value: isinstance(value, str))
SWITCH = Check("true or false", lambda value: isinstance(value, bool))
METHOD = Check(" or ".join(METHODS), lambda value: value in METHODS)


@dataclass(frozen=True)
class Kind:
    """The settings of one kind of model.

    Attributes:
        classes: What `architectures` may name, without TF or Flax before it.
        obeyed: Keys that decide what is computed, and what their values must be.
        needed: Of these, those that may not be missing.
        neutral: Keys that would change what is computed, and the one value at which they do not, or what gives it.
    """

    classes: tuple[str, ...]
    obeyed: Mapping[str, Check]
    needed: tuple[str, ...]
    neutral: Mapping[str, Any]


def _equal_to(key: str) -> Callable[[Settings], Any]:
    return lambda config: config.get(key)


def _activation(config: Settings) -> tuple[bool, str]:
    """Whether an mT5's feed-forward parts are gated, and their activation, as transformers reads them off one name."""
    gated, _, name = str(config.get("feed_forward_proj", "gated-gelu")).rpartition("-")
    return gated == "gated", "gelu_new" if (gated, name) == ("gated", "gelu") else name


_BERT_HEADS = ("PreTraining", "MaskedLM", "NextSentencePrediction", "SequenceClassification", "MultipleChoice",
               "TokenClassification", "QuestionAnswering")  # fmt: skip
KINDS = {
    "bert": Kind(
        classes=("BertModel", "BertLMHeadModel", *(f"BertFor{name}" for name in _BERT_HEADS)),
        obeyed={
            "vocab_size": COUNT,
            "hidden_size": COUNT,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": COUNT,
            "intermediate_size": COUNT,
            "max_position_embeddings": COUNT,
            "type_vocab_size": COUNT,
            "layer_norm_eps": POSITIVE,
            "hidden_act": NAME,
            "hidden_dropout_prob": SHARE,
            "attention_probs_dropout_prob": SHARE,
            "initializer_range": DEVIATION,
            "tie_word_embeddings": SWITCH,
            "total_languages": COUNT,
            **dict.fromkeys(PUBLISHED_METHODS, METHOD),
        },
        needed=("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
        neutral={
            "position_embedding_type": "absolute",
            "directionality": "bidi",
            "ln_type": "postln",
            "pooler_type": "first_token_transform",
            "embedding_size": _equal_to("hidden_size"),
            "is_decoder": False,
            "is_encoder_decoder": False,
            "add_cross_attention": False,
            "tie_encoder_decoder": False,
        },
    ),
    "mt5": Kind(
        classes=("MT5ForConditionalGeneration", "T5ForConditionalGeneration"),
        obeyed={
            "vocab_size": COUNT,
            "d_model": COUNT,
            "d_kv": COUNT,
            "d_ff": COUNT,
            "num_layers": LAYERS,
            "num_decoder_layers": LAYERS,
            "num_heads": COUNT,
            "relative_attention_num_buckets": COUNT,
            "relative_attention_max_distance": COUNT,
            "layer_norm_epsilon": POSITIVE,
            "feed_forward_proj": NAME,
            "dropout_rate": SHARE,
            "initializer_factor": DEVIATION,
            "pad_token_id": TOKEN_ID,
            "decoder_start_token_id": TOKEN_ID,
            "tie_word_embeddings": SWITCH,
        },
        needed=("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads"),
        neutral={
            "hidden_size": _equal_to("d_model"),
            "dense_act_fn": lambda config: _activation(config)[1],
            "is_gated_act": lambda config: _activation(config)[0],
            "head_dim": _equal_to("d_kv"),
            "num_hidden_layers": _equal_to("num_layers"),
            "num_attention_heads": _equal_to("num_heads"),
            "is_encoder_decoder": True,
            "is_decoder": False,
            "add_cross_attention": False,
            "tie_encoder_decoder": False,
            "scale_decoder_outputs": False,
        },
    ),
}
"""By `model_type`."""

_OF_FILES = (
    *("model_type", "architectures", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash", "name"),
    *("language", "tokenizer_class", "torch_dtype", "dtype", "use_bfloat16", "torchscript", "xla_device"),
    *("do_lower_case", "strip_accents", "tokenize_chinese_chars"),  # read with the tokenizer
    "tf_legacy_loss",
)
_OF_COMPUTING = (
    *("attn_implementation", "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal"),
    *("chunk_size_feed_forward", "gradient_checkpointing", "use_cache", "output_past", "return_dict"),
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate"),
)
_OF_HEADS = (
    *("id2label", "label2id", "num_labels", "_num_labels", "problem_type", "finetuning_task", "classifier_dropout"),
    *("task_specific_params", "prefix", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"),
    *("pooler_size_per_head", "summary_activation", "summary_first_dropout", "summary_last_dropout", "summary_type"),
    *("summary_proj_to_labels", "summary_use_proj", "n_positions", "sentence_transformers", "custom_pipelines"),
    *("sbert_ce_default_activation_function", "transformers.js_config"),
)
_OF_TOKENS = tuple(f"{role}_token_id" for role in ("bos", "cls", "decoder_start", "eos", "mask", "pad", "sep", "unk"))
_OF_GENERATION = (
    *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "early_stopping", "do_sample", "num_beams"),
    *("num_beam_groups", "penalty_alpha", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff"),
    *("eta_cutoff", "diversity_penalty", "repetition_penalty", "encoder_repetition_penalty", "length_penalty"),
    *(
        "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size",
        "bad_words_ids",
        "force_words_ids",
        "num_return_sequences",
    ),
    *("forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
    *("suppress_tokens", "begin_suppress_tokens", "renormalize_logits", "guidance_scale", "sequence_bias"),
)
HARMLESS = frozenset((*_OF_FILES, *_OF_COMPUTING, *_OF_HEADS, *_OF_TOKENS, *_OF_GENERATION))
"""Keys that change nothing of what is computed here, whatever their value."""


def read_settings(folder: Pathlike) -> dict[str, Any]:
    """The content of a folder's `config.json`.

    Raises:
        PolyticketError: There is none, or it is not an object of JSON.
    """
    path = Path(folder) / CONFIG
    found = read_json(path)
    if not isinstance(found, dict):
        raise PolyticketError(f"{_shown(found)} for a configuration", where=path, expected="an object of settings")
    return found


def kind_of(config: Settings, where: object) -> str:
    """The kind of model, `bert` or `mt5`, that a configuration is of.

    One without `model_type` is of the kind that its `architectures` name. Without these as well it is a BERT's where it
    has a BERT's sizes and two kinds of segment; RoBERTa's, which has the same keys, has one.

    Raises:
        PolyticketError: It is of another kind, or says nothing of it.
    """
    said = config.get("model_type") or _guessed(config)
    if said is None:
        lines = " or ".join(f'"model_type": "{kind}"' for kind in KINDS)
        raise PolyticketError("no model_type", where=where, expected=lines)
    if not isinstance(said, str) or said not in KINDS:
        raise PolyticketError(f"model_type {_shown(said)}", where=where, expected=" or ".join(KINDS))
    return said


def _guessed(config: Settings) -> str | None:
    if named := config.get("architectures"):
        classes = {_plain(name) for name in named} if isinstance(named, list) else set()
        own = {"bert": "Bert", "mt5": "MT5"}
        fits = [kind for kind, prefix in own.items() if all(str(name).startswith(prefix) for name in classes)]
        return fits[0] if classes and fits else None
    sizes = all(key in config for key in KINDS["bert"].needed)
    usual = config.get("type_vocab_size", 2) == 2 and not config.get("pad_token_id")
    return "bert" if sizes and usual else None


def check_settings(config: Settings, kind: str, where: object) -> None:
    """Check that all that a configuration says is obeyed, or changes nothing.

    A value of null says nothing, and neither does an empty list or object, or an object of such.

    Raises:
        PolyticketError: A key is not understood, or has a value that is not; names it.
    """
    rules = KINDS[kind]
    if config.get("model_type", kind) not in (kind, None, ""):
        raise PolyticketError(f"model_type {_shown(config['model_type'])}", where=where, expected=kind)
    if lost := [key for key in rules.needed if key not in config]:
        raise PolyticketError(f"missing {', '.join(lost)}", where=where, expected=f"the configuration of a {kind}")
    _check_classes(config.get("architectures") or [], rules, where)
    for key, value in config.items():
        if key in rules.obeyed:
            if not (rules.obeyed[key].holds(value) or (value is None and key not in rules.needed)):
                raise PolyticketError(f"{key}: {_shown(value)}", where=where, expected=rules.obeyed[key].says)
        elif key not in HARMLESS and key != "polyticket" and not _says_nothing(value):
            _check_neutral(key, config, rules, kind, where)


def _says_nothing(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, dict) and all(map(_says_nothing, value.values())))


def _check_neutral(key: str, config: Settings, rules: Kind, kind: str, where: object) -> None:
    value = config[key]
    if key not in rules.neutral:
        expected = f"settings of a plain {kind} alone; take it out if it changes nothing"
        raise PolyticketError(f"{key}: {_shown(value)} is not understood", where=where, expected=expected)
    wanted = rules.neutral[key]
    if callable(wanted):
        wanted = wanted(config)
    if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
        raise PolyticketError(f"{key}: {_shown(value)}", where=where, expected=_shown(wanted))


def _check_classes(named: Any, rules: Kind, where: object) -> None:
    for name in named if isinstance(named, list) else [named]:
        if _plain(name) not in rules.classes:
            expected = f"{rules.classes[0]}, if that is what it computes, or another of transformers' own"
            raise PolyticketError(f"architectures: {_shown(name)} is not understood", where=where, expected=expected)


def _plain(name: Any) -> Any:
    return name.removeprefix("TF").removeprefix("Flax") if isinstance(name, str) else repr(name)


def obeyed(config: Settings, kind: str) -> dict[str, Any]:
    """The settings that are obeyed and have a value."""
    return {key: config[key] for key in KINDS[kind].obeyed if config.get(key) is not None}


def is_of_version_4(config: Settings) -> bool:
    """Whether transformers 4 or one before it wrote a configuration."""
    return str(config.get("transformers_version") or "").partition(".")[0] in ("2", "3", "4")


def masks_of(config: Settings, where: object) -> tuple[tuple[str, ...], MaskMethod]:
    """Languages and mask method of a folder of ours, or of the published system; of another, none and `constant`.

    A published configuration says how many languages its masks have; 103 are those of `polyticket languages`.

    Raises:
        PolyticketError: They are not what this package writes, or a published configuration is of other languages.
    """
    if published := [key for key in PUBLISHED if config.get(key) is not None]:
        if "polyticket" in config:
            expected = "masks explained once: by polyticket, or by the published keys"
            raise PolyticketError(f"polyticket and {published[0]}", where=where, expected=expected)
        count = config.get("total_languages", len(CODES))
        if count != len(CODES):
            expected = f"{len(CODES)}; masks of others are named by `polyticket import-checkpoint --languages`"
            raise PolyticketError(f"total_languages: {count}", where=where, expected=expected)
        return CODES, published_method(config, where)
    ours = config.get("polyticket", {})
    languages = ours.get("languages", []) if isinstance(ours, dict) else None
    texts = isinstance(languages, list) and all(isinstance(one, str) for one in languages)
    if not texts or set(ours) - set(OURS) or len(set(languages or ())) != len(languages or ()):
        raise PolyticketError(f"polyticket: {_shown(ours)}", where=where, expected="languages and mask_method")
    return tuple(languages or ()), checked_method(ours.get("mask_method", "constant"), where)


def published_method(config: Settings, where: object) -> MaskMethod:
    """The mask method that a published configuration says; sites that it does not name are `linear`."""
    given = {site: config[key] for key, site in PUBLISHED_METHODS.items() if site and config.get(key) is not None}
    return checked_method(given, where)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
