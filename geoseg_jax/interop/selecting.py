"""Selects the part of a file to convert: the one whole encoder, or a depth decoder alone."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from geoseg_jax.interop import layouts, names, vits
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import Tensor

# The names of a ResNet's own arrays; whatever else is beside them is another part of a model.
_RESNET = re.compile(r"(conv1|bn1|layer\d+)\.")
# What monodepth2's encoder.pth holds beside the encoder, and the first name of its depth.pth. A
# picture's size, or a decoder of these names, is beside an encoder of others too.
_MONODEPTH2 = ("height", "width", "use_stereo")
MONODEPTH2_DECODER = "decoder.0.conv.conv.weight"


class Selected(NamedTuple):
    """The part of a file to convert.

    kind, prefix, dropped: of reading.Weights. vit: whether it is a ViT. tensors: by torchvision's,
    timm's or, of a depth decoder, monodepth2's names. unsure: whether it resembles monodepth2's
    files, whose encoder expects another input, without being one of them beyond doubt.
    """

    kind: str
    prefix: str
    vit: bool
    tensors: dict[str, Tensor]
    dropped: tuple[str, ...]
    unsure: bool = False


def select(entries: Mapping[str, Any], prefix: str) -> Selected:
    """Finds the one encoder of a file, or a depth decoder alone.

    Args:
      entries: of layouts.flatten, Tensors and others.
      prefix: see layouts.choose.

    Raises:
      WeightsError: where there is none, none is whole, or there are several.
    """
    places = layouts.places(entries)
    if prefix:
        places = layouts.at(places, prefix) or places
    whole, problems = [], []
    for place in places:
        try:
            _check(place)
            whole.append(place)
        except WeightsError as error:
            where = f"under the prefix {place.prefix!r} " if place.prefix else ""
            problems.append(f"{where}{error}")
    if whole:
        return _selected(layouts.choose(whole, prefix), entries)
    if problems:
        raise WeightsError(problems[0])
    start = next((n for n in entries if n.endswith(MONODEPTH2_DECODER)), None)
    if start is None:
        raise _unknown(entries)
    before = start.removesuffix(MONODEPTH2_DECODER)
    if prefix:
        raise WeightsError(f"has no encoder under the prefix {prefix!r}, only a depth decoder")
    tensors = _under(entries, before)
    tensors = {n: t for n, t in tensors.items() if n.startswith("decoder.")}
    dropped = layouts.left_out(entries, before, tuple(tensors))
    return Selected("monodepth2", before, False, tensors, dropped)


def _unknown(entries: Mapping[str, Any]) -> WeightsError:
    tensors = sorted(name for name, entry in entries.items() if isinstance(entry, Tensor))
    return WeightsError(
        f"is of no known architecture (tensors: {', '.join(tensors[:3]) or 'none'}, ...); known "
        f"are the residual networks {', '.join(names.residual_networks())} by torchvision's names, "
        "whatever stands before these, monodepth2's depth decoder, and ViTs by the names of timm, "
        "transformers and mmseg"
    )


def _under(entries: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    tensors = {n: t for n, t in entries.items() if isinstance(t, Tensor) and n.startswith(prefix)}
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items()}


def _own(place: layouts.Place) -> tuple[str, dict[str, Tensor]]:
    """Returns the kind of an encoder, and of the tensors at its place those that are its own."""
    if place.family == "vit":
        return vits.select(place.tensors)[:2]
    kind = "moco" if {"encoder_q", "base_encoder"} & set(place.prefix.split(".")) else "torchvision"
    # PyTorch's batch norms count their batches; with a fixed momentum the count has no use.
    return kind, {
        name: tensor
        for name, tensor in place.tensors.items()
        if _RESNET.match(name) and not name.endswith(".num_batches_tracked")
    }


def _check(place: layouts.Place) -> None:
    """Raises WeightsError where an encoder is not whole; reads no numbers."""
    tensors = _own(place)[1]
    if place.family == "vit":
        vits.check(tensors)
        return
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    encoder = names.recognise(shapes)
    names.check(names.encoder_slots(encoder), shapes, f"a {encoder}")


def _used(place: layouts.Place, tensors: Mapping[str, Tensor]) -> list[str]:
    """Names what is converted, without the prefix; counts of batches go with their statistics."""
    counters = [n for n in place.origins if n.endswith(".num_batches_tracked")]
    return [origin for name in (*tensors, *counters) for origin in place.origins[name]]


def _selected(place: layouts.Place, entries: Mapping[str, Any]) -> Selected:
    kind, tensors = _own(place)
    before = place.prefix.removesuffix("encoder.")
    depth = {n: t for n, t in _under(entries, before).items() if n.startswith("decoder.")}
    inside = place.family == "resnet" and before != place.prefix
    if not inside or MONODEPTH2_DECODER not in depth:
        depth = {}
    kind = "monodepth2" if inside and all(before + n in entries for n in _MONODEPTH2) else kind
    sized = all(before + name in entries for name in _MONODEPTH2[:2])
    unsure = inside and kind != "monodepth2" and bool(depth or sized)
    rest = [n for n in entries if not (n.startswith(before) and n[len(before) :] in depth)]
    dropped = layouts.left_out(rest, place.prefix, _used(place, tensors))
    vit = place.family == "vit"
    return Selected(kind, place.prefix, vit, tensors | depth, dropped, unsure)
