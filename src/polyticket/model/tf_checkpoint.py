"""Name-based TensorFlow checkpoints (V2 files), as the original BERT code reads and writes them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, read_json, write_json, write_text
from polyticket.model.folder import Model, require_weights
from polyticket.model.names import mask_entries, weight_entries
from polyticket.model.shape import BertShape

PREFIX = "model.ckpt"
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
    except (ValueError, tf.errors.OpError) as error:
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
    variables: Mapping[str, NDArray[np.generic]], shape: BertShape, languages: tuple[str, ...], mask_method: str
) -> Model:
    """TensorFlow variables as a model, bit for bit. What it does not know (optimiser slots, accumulators) is ignored.

    Raises:
        PolyticketError: A variable is missing or has another shape; names it.
    """
    entries = weight_entries(shape)
    weights = {e.torch: e.convert(_found(variables, e.tf, e.shape)) for e in entries}
    masks = (
        {e.torch: _found(variables, e.tf, e.shape) for e in mask_entries(shape, len(languages))} if languages else {}
    )
    return Model(shape, weights, masks, languages, mask_method)


def write_model_checkpoint(model: Model, folder: Pathlike) -> None:
    """Write a model as a checkpoint folder with the `config.json` that says its shape, languages and mask method."""
    write_checkpoint(model_variables(model), folder)
    write_checkpoint_config(model.shape, model.languages, model.mask_method, folder)


def write_checkpoint_config(shape: BertShape, languages: tuple[str, ...], mask_method: str, folder: Pathlike) -> None:
    """Write the `config.json` of a checkpoint folder."""
    ours = {"languages": list(languages), "mask_method": mask_method}
    write_json(Path(folder) / "config.json", shape.to_config() | {"polyticket": ours})


def read_checkpoint_config(folder: Pathlike) -> tuple[BertShape, tuple[str, ...], str]:
    """Shape, languages and mask method of a checkpoint folder."""
    config = read_json(Path(folder) / "config.json")
    ours = config.get("polyticket", {})
    return BertShape.from_config(config), tuple(ours.get("languages", ())), ours.get("mask_method", "constant")


def read_model_checkpoint(folder: Pathlike) -> Model:
    """Read a checkpoint folder as a model."""
    return variables_model(read_checkpoint(folder), *read_checkpoint_config(folder))


def _found(variables: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in variables:
        raise PolyticketError(f"missing variable {name}", where="checkpoint", expected=f"shape {list(shape)}")
    array = variables[name]
    if array.shape != shape:
        raise PolyticketError(f"{name} has shape {list(array.shape)}", where="checkpoint", expected=f"{list(shape)}")
    return np.asarray(array, np.float32)
