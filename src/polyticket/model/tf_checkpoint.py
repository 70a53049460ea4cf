"""Name-based TensorFlow checkpoints (V2 files), as the original BERT code reads and writes them."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_json, write_text
from polyticket.model.folder import Model, require_weights
from polyticket.model.mask_methods import MaskMethod
from polyticket.model.settings import CONFIG, masks_of, read_settings
from polyticket.model.shape import BertShape, mask_entries, weight_entries
from polyticket.model.tensors import as_float32, refuse_unknown, require_masks

PREFIX = "model.ckpt"
POSITIONS = "bert/embeddings/position_ids"
CLASSIFIER = ("output_weights", "output_bias")
"""What the original code puts on top of a BERT that it fine-tunes."""
SLOT = re.compile(
    r"(training|optimizer|adam\w*|lamb\w*|lars\w*|adagrad\w*|adafactor\w*|rms\w*|momentum\w*|velocity|vhat|[mv]|v[rc]"
    r"|accumulators?|accumulated|updates|gradients?|exponentialmovingaverage|ema)(_\d+)?",
    re.IGNORECASE,
)
"""What optimisers and averages put before or behind the name of a variable that they keep values for."""
Variables = dict[str, NDArray[np.generic]]


def write_checkpoint(variables: Mapping[str, NDArray[np.generic]], folder: Pathlike) -> None:
    """Write variables by name into an existing folder: `.index`, `.data-00000-of-00001` and `checkpoint`."""
    names = sorted(variables)
    values = [tf.constant(variables[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(Path(folder) / PREFIX), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )
    write_text(Path(folder) / "checkpoint", f'model_checkpoint_path: "{PREFIX}"\n')


def read_checkpoint(folder: Pathlike) -> Variables:
    """Read all variables of a checkpoint folder by name.

    Raises:
        PolyticketError: There is no checkpoint, or it cannot be read.
    """
    try:
        reader = tf.train.load_checkpoint(str(folder))
        return {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map())}
    except (ValueError, IndexError, RuntimeError, MemoryError, tf.errors.OpError) as error:
        raise PolyticketError(
            f"no readable TensorFlow checkpoint: {str(error).splitlines()[0]}", where=folder
        ) from None


def model_variables(model: Model) -> Variables:
    """A model's weights and masks as TensorFlow variables, bit for bit."""
    require_weights(model.weights, model.shape, "checkpoint")
    found: Variables = {e.tf: e.convert(model.weights[e.torch]) for e in weight_entries(model.shape)}
    if model.masks:
        entries = mask_entries(model.shape, len(model.languages))
        found |= {entry.tf: model.masks[entry.torch] for entry in entries}
    return found


def variables_model(
    variables: Mapping[str, NDArray[np.generic]], shape: BertShape, languages: tuple[str, ...], mask_method: MaskMethod
) -> Model:
    """TensorFlow variables as a model, bit for bit; see `check_variables` for what is passed over.

    Raises:
        PolyticketError: A variable is missing, has another shape, or is not understood; names it.
    """
    check_variables(variables, shape, languages)
    entries = weight_entries(shape)
    weights = {e.torch: e.convert(_found(variables, e.tf, e.shape)) for e in entries}
    masks = (
        {e.torch: _found(variables, e.tf, e.shape) for e in mask_entries(shape, len(languages))} if languages else {}
    )
    return Model(shape, weights, masks, languages, mask_method)


def check_variables(variables: Mapping[str, NDArray[np.generic]], shape: BertShape, languages: tuple[str, ...]) -> None:
    """Check that all variables are the model's, or change nothing of it.

    What changes nothing: what stands below or beside a variable of the model, as optimiser slots and accumulators do
    (`…/kernel/adam_m`, `…/kernel_1`, `optimizer/…/kernel/m`); position ids; numbers such as `global_step`; and the
    classifiers that the original code fine-tunes.

    Raises:
        PolyticketError: There are others: masks that the configuration does not explain, adapters, further layers.
    """
    masks = mask_entries(shape, len(languages)) if languages else []
    own = {entry.tf for entry in (*weight_entries(shape), *masks)}
    left = [name for name, array in variables.items() if not _is_passed_over(name, np.ndim(array), own)]
    refuse_unknown(left, "checkpoint", f"what a BERT of {shape.num_hidden_layers} layers has, and optimiser slots")


def _is_passed_over(name: str, dimensions: int, own: set[str]) -> bool:
    parts = name.split("/")
    plain = "/".join(part for part in parts if not SLOT.fullmatch(part))
    if re.sub(r"_\d+$", "", plain) in own or name == POSITIONS:
        return True
    return parts[0] not in ("bert", "cls") and (dimensions == 0 or name in CLASSIFIER)


def write_model_checkpoint(model: Model, folder: Pathlike) -> None:
    """Write a model as a checkpoint folder with the `config.json` that says its shape, languages and mask method."""
    write_checkpoint(model_variables(model), folder)
    write_checkpoint_config(model.shape, model.languages, model.mask_method, folder)


def write_checkpoint_config(
    shape: BertShape, languages: tuple[str, ...], mask_method: MaskMethod, folder: Pathlike
) -> None:
    """Write the `config.json` of a checkpoint folder."""
    ours = {"languages": list(languages), "mask_method": mask_method}
    write_json(Path(folder) / "config.json", shape.to_config() | {"polyticket": ours})


def read_checkpoint_config(folder: Pathlike) -> tuple[BertShape, tuple[str, ...], MaskMethod]:
    """Shape, languages and mask method of a checkpoint folder."""
    config, where = read_settings(folder), Path(folder) / CONFIG
    return BertShape.from_config(config, where), *masks_of(config, where)


def read_model_checkpoint(folder: Pathlike) -> Model:
    """Read a checkpoint folder as a model."""
    model = variables_model(read_checkpoint(folder), *read_checkpoint_config(folder))
    require_masks(model.masks, folder)
    return model


def _found(variables: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in variables:
        raise PolyticketError(f"missing variable {name}", where="checkpoint", expected=f"shape {list(shape)}")
    array = variables[name]
    if array.shape != shape:
        raise PolyticketError(f"{name} has shape {list(array.shape)}", where="checkpoint", expected=f"{list(shape)}")
    return as_float32(array, name, "checkpoint")
