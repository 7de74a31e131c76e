"""PyTorch's names and axes of our parameters, and which ResNet a set of names belongs to."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import Tensor
from geoseg_jax.models import encoders, resnet, unet

Path = tuple[str, ...]

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class Slot(NamedTuple):
    """The place of one of PyTorch's tensors, and the shape it must have there, [out, in, k, k]."""

    path: Path
    shape: tuple[int, ...]


def to_torch(array: np.ndarray) -> np.ndarray:
    """Turns [k, k, in, out] into [out, in, k, k], [in, out] into [out, in]; vectors stay."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
    return np.ascontiguousarray(array.transpose(axes)) if axes else array


def from_torch(array: np.ndarray) -> np.ndarray:
    """Turns [out, in, k, k] into [k, k, in, out], [out, in] into [in, out]; all float32."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim)
    array = array.transpose(axes) if axes else array
    return np.ascontiguousarray(array, np.float32)


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape that to_torch gives an array of that shape."""
    if len(shape) == 4:
        return (shape[3], shape[2], shape[0], shape[1])
    return shape[::-1]


def encoder_name(path: Path) -> str:
    """Returns torchvision's name: params/encoder/layer2_0/bn1/scale -> layer2.0.bn1.weight."""
    if path[-1] not in _LEAVES:
        raise WeightsError(f"has an array {'/'.join(path)[:80]!r}, which no encoder has")
    modules = [module.replace("_", ".") for module in path[2:-1]]
    return ".".join([*modules, _LEAVES[path[-1]]])


def monodepth2_name(path: Path) -> str:
    """Returns monodepth2's name: params/decoder/upconv_4_0/kernel -> decoder.0.conv.conv.weight.

    Its decoder is one list of modules: the two convolutions of every level from the coarsest on,
    each in a block, then the disparities' convolutions from the finest on.
    """
    kind, *numbers = path[2].split("_")
    if kind == "upconv":
        level, second = map(int, numbers)
        return f"decoder.{2 * (4 - level) + second}.conv.conv.{_LEAVES[path[-1]]}"
    return f"decoder.{10 + int(numbers[0])}.conv.{_LEAVES[path[-1]]}"


@functools.cache
def encoder_slots(kind: str) -> Mapping[str, Slot]:
    """Returns every tensor of an encoder (a key of encoders.ENCODERS) by torchvision's name."""
    module, images = encoders.make_encoder(kind), jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), images, False))
    return _slots(shapes, "encoder", encoder_name)


@functools.cache
def decoder_slots(
    channels: tuple[int, ...], encoder: str, scales: tuple[int, ...]
) -> Mapping[str, Slot]:
    """Returns every tensor of monodepth2's depth.pth by its name there.

    Args:
      channels: of the decoder at strides 1, 2, 4, 8 and 16.
      encoder: name of the encoder below it.
      scales: which disparities there are.
    """
    features = stage_channels(encoder)
    stages = {s: jnp.zeros((1, 64 // s, 64 // s, c)) for s, c in features.items()}
    decoder, head = unet.UNetDecoder(channels), unet.DisparityHead(scales)
    key = jax.random.key(0)
    decoded = {s: jnp.zeros((1, 64 >> s, 64 >> s, c)) for s, c in enumerate(channels)}
    shapes = jax.eval_shape(lambda: decoder.init(key, stages))
    slots = dict(_slots(shapes, "decoder", monodepth2_name))
    shapes = jax.eval_shape(lambda: head.init(key, decoded))
    return slots | dict(_slots(shapes, "head", monodepth2_name))


def _slots(shapes: Any, part: str, name: Callable[[Path], str]) -> Mapping[str, Slot]:
    slots = {}
    for (collection, *rest), leaf in traverse_util.flatten_dict(shapes).items():
        path = (collection, part, *rest)
        slots[name(path)] = Slot(path, torch_shape(leaf.shape))
    return slots


def stage_channels(kind: str) -> dict[int, int]:
    """Returns stride -> channels of an encoder's stages."""
    parts = encoders.ENCODERS[kind].keywords
    width = parts.get("width", resnet.ResNet.width)
    wide = width * parts["block"].expansion
    return {2: width} | {4 * 2**stage: wide * 2**stage for stage in range(4)}


def residual_networks() -> list[str]:
    """Returns the encoders that are ResNets."""
    return [kind for kind in encoders.ENCODERS if not encoders.is_vit(kind)]


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Recognises the encoder that torchvision's names and shapes belong to.

    Raises:
      WeightsError: where no encoder has so many blocks of that kind and width.
    """
    blocks: dict[int, set[int]] = {stage: set() for stage in (1, 2, 3, 4)}
    for name in shapes:
        match = re.match(r"layer([1-4])\.(\d+)\.", name)
        if match:
            blocks[int(match[1])].add(int(match[2]))
    depths = tuple(len(numbers) for numbers in blocks.values())
    bottleneck = "layer1.0.conv3.weight" in shapes
    width = (shapes.get("conv1.weight") or (0,))[0]
    known = {}
    for kind in residual_networks():
        parts = encoders.ENCODERS[kind].keywords
        bottlenecks = parts["block"] is resnet.Bottleneck
        known[parts["depths"], bottlenecks, parts.get("width", resnet.ResNet.width)] = kind
    if (depths, bottleneck, width) not in known:
        block = "bottlenecks" if bottleneck else "basic blocks"
        raise WeightsError(
            f"is a residual network of {depths} {block} and {width} channels, which is not one of "
            f"{', '.join(residual_networks())}"
        )
    return known[depths, bottleneck, width]


def check(slots: Mapping[str, Slot], shapes: Mapping[str, tuple[int, ...]], what: str) -> None:
    """Compares names and shapes.

    Args:
      slots: what is wanted, by PyTorch's names.
      shapes: the shapes that there are.
      what: as in 'a resnet18', for the message.

    Raises:
      WeightsError: naming what is missing, superfluous or of another shape.
    """
    problems = [f"{n} is missing" for n in slots if n not in shapes]
    problems += [f"{n} is superfluous" for n in sorted(shapes) if n not in slots]
    problems += [
        f"{n} has shape {list(shapes[n])} instead of {list(slot.shape)}"
        for n, slot in slots.items()
        if n in shapes and shapes[n] != slot.shape
    ]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(f"is not {what}: {'; '.join(problems[:3])}{more}")


def convert(slots: Mapping[str, Slot], tensors: Mapping[str, Tensor]) -> dict[Path, np.ndarray]:
    """Returns path -> float32 array with our axes, of tensors that were checked.

    Raises:
      WeightsError: for numbers that are not finite.
    """
    arrays = {}
    for name, slot in slots.items():
        arrays[slot.path] = from_torch(tensors[name].array())
        if not np.isfinite(arrays[slot.path]).all():
            raise WeightsError(f"has a {name} that is not finite: the run that wrote it diverged")
    return arrays
