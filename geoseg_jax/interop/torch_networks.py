"""Writes whole networks under PyTorch's names, where PyTorch has a network of the same layers."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from geoseg_jax.interop import names
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.writing import counters, save

# Ours -> torchvision's: DeepLabHead of torchvision.models.segmentation.deeplabv3.
_DEEPLAB = (
    (r"decoder/aspp_([0-3])/conv$", r"classifier.0.convs.\1.0"),
    (r"decoder/aspp_([0-3])/bn$", r"classifier.0.convs.\1.1"),
    (r"decoder/aspp_pool/conv$", "classifier.0.convs.4.1"),  # behind the pooling
    (r"decoder/aspp_pool/bn$", "classifier.0.convs.4.2"),
    (r"decoder/project/conv$", "classifier.0.project.0"),
    (r"decoder/project/bn$", "classifier.0.project.1"),
    (r"decoder/out/conv$", "classifier.1"),
    (r"decoder/out/bn$", "classifier.2"),
    (r"head/conv$", "classifier.4"),
)


def write_deeplab(
    variables: Mapping[str, Any], path: str | pathlib.Path, metadata: Mapping[str, str]
) -> None:
    """Writes a DeepLabV3 on a ResNet-50 or 101 as a .safetensors with torchvision's names.

        model = torchvision.models.segmentation.deeplabv3_resnet50(
            weights=None, weights_backbone=None, num_classes=C, aux_loss=False)
        model.load_state_dict(safetensors.torch.load_file(path), strict=True)

    Args:
      variables: of models.segmentation.SegmentationNet.
      path: of the file.
      metadata: texts for the file's head.
    """
    tensors = {}
    for place, array in _flat(variables):
        part, *_ = place[1:]
        inside = part == "encoder"
        name = f"backbone.{names.encoder_name(place)}" if inside else _in_classifier(place)
        tensors[name] = names.to_torch(array)
    save(tensors | counters(tensors), pathlib.Path(path), {"format": "pt", **metadata})


def write_monodepth2(
    variables: Mapping[str, Any], path: str | pathlib.Path, metadata: Mapping[str, str]
) -> None:
    """Writes a depth network as a .safetensors with the names of monodepth2's two modules:
    `encoder.` those of its ResnetEncoder, `decoder.` those of its DepthDecoder.

    Args:
      variables: of models.depth.SelfSupDepthNet with a U-Net; what finds motion is left out.
      path: of the file.
      metadata: texts for the file's head.
    """
    tensors = {}
    for place, array in _flat(variables):
        if place[1] == "encoder":
            tensors[f"encoder.{names.encoder_name(place)}"] = names.to_torch(array)
        elif place[1] in ("decoder", "head"):
            tensors[names.monodepth2_name(place)] = names.to_torch(array)
    save(tensors | counters(tensors), pathlib.Path(path), {"format": "pt", **metadata})


def _flat(variables: Mapping[str, Any]) -> list[tuple[names.Path, np.ndarray]]:
    kept = {kind: dict(variables.get(kind, {})) for kind in ("params", "batch_stats")}
    flat = traverse_util.flatten_dict(kept)
    return [(place, np.asarray(leaf, np.float32)) for place, leaf in flat.items()]


def _in_classifier(place: names.Path) -> str:
    leaf = names.encoder_name(("", "", place[-1]))
    for ours, theirs in _DEEPLAB:
        if match := re.fullmatch(ours, "/".join(place[1:-1])):
            return f"{match.expand(theirs)}.{leaf}"
    raise WeightsError(f"has an array {'/'.join(place)!r}, which torchvision's DeepLabV3 has not")
