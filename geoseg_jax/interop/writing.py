"""Writes our variables to files: our own converted weights, and torchvision's for PyTorch."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from flax import traverse_util

from geoseg_jax.core import atomic, json_files
from geoseg_jax.core.digest import sha256_of_file
from geoseg_jax.interop import names, vits
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.reading import (
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    Weights,
    source_metadata,
)


def write_weights(weights: Weights, folder: str | pathlib.Path, source: str) -> dict[str, Any]:
    """Writes weights.safetensors, under our flat names, and weights.json, which describes it.

    The same weights give the same file, byte by byte.

    Args:
      weights: as read_weights gives them.
      folder: made where it isn't there.
      source: name of the file or folder they come from.

    Returns:
      What weights.json says.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    origin = weights.source or {"name": source, "sha256": weights.sha256}
    described = {
        "kind": weights.kind,
        "encoder": weights.encoder,
        "normalisation": weights.normalisation,
        **source_metadata(origin),
    }
    flat = traverse_util.flatten_dict(weights.variables, sep="/")
    path = folder / WEIGHTS_FILE
    save(flat, path, described)
    parts = {
        part: sum(leaf.size for leaf in traverse_util.flatten_dict(tree).values())
        for part, tree in sorted(weights.variables["params"].items())
    }
    description = described | {
        "sha256": sha256_of_file(path),
        "parameters": parts,
        "prefix": weights.prefix,
        "left_out": list(weights.dropped),
        "changed": list(weights.changed),
        "untrained_statistics": weights.untrained,
    }
    json_files.write_json(folder / DESCRIPTION_FILE, description)
    return description


def write_torchvision(
    variables: Mapping[str, Any],
    path: str | pathlib.Path,
    *,
    normalisation: str = "imagenet",
    classes: int = 0,
    source: Mapping[str, str] | None = None,
) -> str:
    """Writes the encoder as a .safetensors with torchvision's names, for a strict load in PyTorch.

    With classes = 0 there is no classifier, which suits a torchvision ResNet without one:

        model = torchvision.models.resnet18()
        model.fc = torch.nn.Identity()
        model.load_state_dict(safetensors.torch.load_file(path), strict=True)

    With classes = 1000 there is one of zeros, and the model is loaded as it comes. What torchvision
    has not (encoder_names.IN_PYTORCH), you have to build of its blocks. Batch norms'
    `num_batches_tracked` are there, as zeros. Feed it RGB that was normalised as `normalisation`
    says, which the file's metadata repeat.

    Args:
      variables: {'params': {'encoder': ...}, 'batch_stats': {'encoder': ...}}; other parts stay.
      path: of the file.
      normalisation: what the encoder expects of its input, a key of models.resnet.NORMALISATIONS.
      classes: outputs of the classifier, or 0 for none.
      source: where the variables come from, see Weights.source; read_weights gives it back.

    Returns:
      The encoder's name.

    Raises:
      WeightsError: where there is no encoder, or it is none of torchvision's shape, or for a
        negative number of classes.
    """
    if classes < 0:
        raise WeightsError(f"classes={classes} must be the classifier's outputs, or 0 for none")
    tensors = _encoder_tensors(variables)
    shapes = {name: array.shape for name, array in tensors.items()}
    encoder = names.recognise(shapes)
    names.check(names.encoder_slots(encoder), shapes, f"a {encoder}")
    tensors |= counters(tensors)
    if classes:
        width = names.stage_channels(encoder)[32]
        tensors["fc.weight"] = np.zeros((classes, width), np.float32)
        tensors["fc.bias"] = np.zeros((classes,), np.float32)
    # 'format' is what loaders of PyTorch's side look for.
    metadata = {"format": "pt", "encoder": encoder, "normalisation": normalisation}
    metadata |= source_metadata(source) if source else {}
    save(tensors, pathlib.Path(path), metadata)
    return encoder


def _encoder_tensors(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the encoder's parameters and statistics under torchvision's names."""
    flat = {
        (collection, "encoder", *rest): np.asarray(leaf, np.float32)
        for collection in ("params", "batch_stats")
        for rest, leaf in traverse_util.flatten_dict(
            dict(variables.get(collection, {}).get("encoder", {}))
        ).items()
    }
    if not flat:
        raise WeightsError(f"no encoder to write among the parts {sorted(variables['params'])}")
    return {names.encoder_name(p): names.to_torch(array) for p, array in flat.items()}


def write_timm(
    variables: Mapping[str, Any],
    path: str | pathlib.Path,
    encoder: str,
    *,
    normalisation: str = "imagenet",
    classes: int = 0,
    source: Mapping[str, str] | None = None,
) -> None:
    """Writes a ViT as a .safetensors with timm's names, for a strict load in PyTorch.

        model = timm.create_model("vit_small_patch16_224", num_classes=0)
        model.load_state_dict(safetensors.torch.load_file(path), strict=True)

    Args:
      variables, path, normalisation, classes, source: as of write_torchvision.
      encoder: its name, as the number of heads doesn't show in shapes.

    Raises:
      WeightsError: where there is no encoder, or it is not that ViT, or for a negative number of
        classes.
    """
    if classes < 0:
        raise WeightsError(f"classes={classes} must be the classifier's outputs, or 0 for none")
    if "encoder" not in variables["params"]:
        raise WeightsError(f"no encoder to write among the parts {sorted(variables['params'])}")
    tensors = vits.to_timm(variables, encoder)
    if classes:
        width = tensors["norm.weight"].size
        tensors["head.weight"] = np.zeros((classes, width), np.float32)
        tensors["head.bias"] = np.zeros((classes,), np.float32)
    metadata = {"format": "pt", "encoder": encoder, "normalisation": normalisation}
    metadata |= source_metadata(source) if source else {}
    save(tensors, pathlib.Path(path), metadata)


def counters(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the counter of batches that PyTorch has beside the statistics of each batch norm."""
    means = (name for name in tensors if name.endswith(".running_mean"))
    zero = np.zeros((), np.int64)
    return {name.replace("running_mean", "num_batches_tracked"): zero for name in means}


def save(arrays: Mapping[str, np.ndarray], path: pathlib.Path, metadata: Mapping[str, str]) -> None:
    """Saves a .safetensors, whole or not at all, equal for equal content.

    The package writes the metadata in an order that differs from run to run.
    """
    arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
    raw = safetensors.numpy.save(arrays, dict(metadata))
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.dumps(json.loads(raw[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as partial:
        partial.write_bytes(len(header).to_bytes(8, "little") + header + raw[end:])
