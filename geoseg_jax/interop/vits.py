"""Vision transformers from and to PyTorch, by timm's names, and what DINOv2 and MAE do otherwise.

Three things may have to be changed on the way, and are then told of: a class token's position
vector is added to the token; a grid of position vectors that is not the encoder's is resampled, as
timm does; and patches of another size than 16 (DINOv2's 14) are resampled so that a picture whose
patches are enlarged to 16 gives the same numbers.

To a picture's own grid of patches an encoder then resamples them as DINOv2 does, with registers or
without, where it is DINOv2's, and as timm does elsewhere. Those of DINO, which go by the same names
as timm's, differ from the original by that little where a picture is not 224x224.
"""

import functools
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from geoseg_jax.interop import described, names
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import Tensor
from geoseg_jax.models import encoders, positions
from geoseg_jax.models.vit import PATCH
from geoseg_jax.ops.sampling import resize_matrix

# Names, or beginnings of names, that belong to what isn't here: classifiers, heads of
# self-supervision, MAE's decoder, the pooling of transformers.
_ELSEWHERE = (
    *("head.", "head_dist.", "pre_logits.", "dino_head.", "ibot_head.", "decoder_"),
    *("mask_token", "pooler.", "classifier."),
)
# Tensors whose shape is not that of our parameter.
_SPECIAL = ("cls_token", "reg_token", "pos_embed", "patch_embed.proj.weight")


class Converted(NamedTuple):
    """An encoder from a file.

    encoder: its name. flat: path -> array. changed: what was resampled or renamed, a line each.
    """

    encoder: str
    flat: dict[names.Path, np.ndarray]
    changed: tuple[str, ...]


def select(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor], list[str]]:
    """Returns kind (mae, dinov2 or timm), tensors to convert by timm's names, names left out."""
    left = [name for name in tensors if name.startswith(_ELSEWHERE)]
    taken = {name: tensor for name, tensor in tensors.items() if name not in left}
    if any(name.startswith("decoder_blocks.") for name in left):
        return "mae", taken, left
    patch = tensors["patch_embed.proj.weight"].shape[-1]
    return "dinov2" if patch == 14 and "blocks.0.ls1.gamma" in taken else "timm", taken, left


def normalisation_of(
    kind: str,
    tensors: Mapping[str, Tensor],
    every: Iterable[str],
    path: pathlib.Path,
) -> str:
    """Returns the normalisation that a ViT expects, where the file doesn't say so itself.

    What the Hugging Face hub has beside the file is asked first: config.json for timm's,
    preprocessor_config.json for those of transformers. DINO, DINOv2 and MAE take ImageNet's, where
    they can be seen to be that. Of others the two that are common can't be told apart, with a
    classifier or without: so are Google's once timm leaves it out, and DINO's where the file holds
    the bare backbone.

    Args:
      kind, tensors: of `select`; tensors that `convert` takes.
      every: all names in the file.
      path: of the file.

    Raises:
      WeightsError: where it can't be known, with the remedy.
    """
    if told := described.normalisation_beside(path):
        return told
    every = list(every)
    if kind in ("mae", "dinov2") or _is_dino(every) or _is_mae(tensors):
        return "imagenet"
    last = any(name.endswith(("head.weight", "classifier.weight")) for name in every)
    raise WeightsError(
        f"is a ViT with{'' if last else 'out'} a classifier, whose input may be "
        "normalised by ImageNet's mean (DeiT, DINO) or to -1 to 1 (Google's); convert it with "
        "python -m geoseg_jax.weights and --normalisation=imagenet or --normalisation=half"
    )


def _is_dino(every: Iterable[str]) -> bool:
    """Recognises DINO by the perceptron behind its backbone, which training leaves in the file."""
    return any("head.mlp." in name or "dino_head." in name for name in every)


def _is_mae(tensors: Mapping[str, Tensor]) -> bool:
    """Recognises MAE: tuned on the mean of tokens, or the class token's position is 0."""
    if "norm.weight" not in tensors:
        return True
    place = tensors["pos_embed"].array().reshape(-1, tensors["pos_embed"].shape[-1])
    return math.isqrt(len(place)) ** 2 < len(place) and not place[0].any()


def check(tensors: Mapping[str, Tensor]) -> str:
    """Recognises the encoder of a file's tensors (of `select`) by names and shapes alone.

    Raises:
      WeightsError: where they are none of our ViTs, or not all of one.
    """
    shapes = {name: tensor.shape for name, tensor in _without_pooling(tensors).items()}
    kind = recognise(shapes)
    own = {name: slot for name, slot in slots(kind).items() if name not in _SPECIAL}
    names.check(own, {n: s for n, s in shapes.items() if n not in _SPECIAL}, f"a {kind}")
    return kind


def convert(tensors: Mapping[str, Tensor]) -> Converted:
    """Converts a file's tensors (of `select`) to our parameters.

    Raises:
      WeightsError: as of `check`, or where numbers are not finite.
    """
    kind, changed = check(tensors), []
    if "fc_norm.weight" in tensors and "norm.weight" not in tensors:
        changed.append("fc_norm -> norm")
    tensors = _without_pooling(tensors)
    wanted = slots(kind)
    flat = names.convert({n: s for n, s in wanted.items() if n not in _SPECIAL}, tensors)
    special = {name: slot for name, slot in wanted.items() if name in _SPECIAL}
    for name, slot in special.items():
        array = tensors[name].array().astype(np.float32)
        if not np.isfinite(array).all():
            raise WeightsError(f"has a {name} that is not finite: the run that wrote it diverged")
        flat[slot.path] = array
    changed += _fit(flat, special)
    return Converted(kind, flat, tuple(changed))


def _without_pooling(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Calls fc_norm norm: where a ViT was fine-tuned on the mean of its tokens, that is normalised
    in place of each token.
    """
    if "norm.weight" in tensors:
        return dict(tensors)
    return {n.removeprefix("fc_") if n.startswith("fc_norm.") else n: t for n, t in tensors.items()}


def _fit(flat: dict[names.Path, np.ndarray], special: Mapping[str, names.Slot]) -> list[str]:
    """Gives the special tensors our shapes, in place; returns what was resampled."""
    path = {name: slot.path for name, slot in special.items()}
    changed = []
    kernel = flat[path["patch_embed.proj.weight"]]
    if kernel.ndim != 4 or kernel.shape[1] != 3 or kernel.shape[2] != kernel.shape[3]:
        raise WeightsError(f"has a patch_embed.proj.weight of shape {list(kernel.shape)}")
    patch = kernel.shape[-1]
    if patch != PATCH:
        changed.append(f"patch_embed {patch}x{patch} -> {PATCH}x{PATCH}")
    flat[path["patch_embed.proj.weight"]] = resample_patches(names.from_torch(kernel))
    width = kernel.shape[0]
    cls = flat[path["cls_token"]].reshape(1, width)
    place = flat[path["pos_embed"]].reshape(-1, width)
    side = math.isqrt(len(place))
    if side**2 not in (len(place), len(place) - 1):
        raise WeightsError(f"has {len(place)} position vectors, which belong to no square grid")
    if side**2 < len(place):
        cls, place = cls + place[:1], place[1:]
    flat[path["cls_token"]] = cls
    grid = special["pos_embed"].shape[0]
    if side != grid:
        changed.append(f"pos_embed {side}x{side} -> {grid}x{grid}")
    place = positions.resample(place.reshape(side, side, width), grid, grid)
    flat[path["pos_embed"]] = np.asarray(place)
    if "reg_token" in path:
        flat[path["reg_token"]] = flat[path["reg_token"]].reshape(-1, width)
    return changed


def resample_patches(kernel: np.ndarray, size: int = PATCH) -> np.ndarray:
    """Resamples a patch embedding to another size: [p, p, C, out] -> [size, size, C, out].

    FlexiViT's pseudo-inverse (Beyer et al., arXiv:2212.08013, section 3.4): the kernel whose
    product with a patch that was enlarged bilinearly is the old kernel's with the patch as it was,
    exactly, and for a smaller size as nearly as can be.
    """
    if kernel.shape[0] == size:
        return kernel
    back = np.linalg.pinv(resize_matrix(kernel.shape[0], size)).T  # [size, p]
    return np.einsum("ai,bj,ijco->abco", back, back, kernel.astype(np.float64)).astype(np.float32)


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Recognises the encoder that timm's names and shapes belong to.

    Raises:
      WeightsError: where no encoder has that depth, width, layer scale and registers, and for
        DeiT III, whose layer scale is not DINOv2's: it has another grid, and patches of 16.
    """
    if "cls_token" not in shapes or "pos_embed" not in shapes:
        missing = "class token" if "cls_token" not in shapes else "position vectors"
        raise WeightsError(f"is a ViT without {missing}, which no known encoder is")
    blocks = {n.split(".")[1] for n in shapes if n.startswith("blocks.")}
    registers = shapes["reg_token"][1] if "reg_token" in shapes else 0
    scaled = "blocks.0.ls1.gamma" in shapes
    shape = (len(blocks), shapes["cls_token"][-1], registers, scaled)
    known = {}
    for kind in filter(encoders.is_vit, encoders.ENCODERS):
        parts = encoders.ENCODERS[kind].keywords
        scales = parts.get("layer_scale") is not None
        known[parts["depth"], parts["width"], parts.get("registers", 0), scales] = kind
    if shape not in known:
        raise WeightsError(
            f"is a ViT of {shape[0]} blocks, width {shape[1]} and {registers} registers "
            f"{'with' if scaled else 'without'} layer scale, which is not one of "
            f"{', '.join(known.values())}"
        )
    kind = known[shape]
    grid = encoders.ENCODERS[kind].keywords.get("grid")
    patch = shapes.get("patch_embed.proj.weight", (0,))[-1]
    places = math.isqrt(shapes["pos_embed"][-2]) if len(shapes["pos_embed"]) > 1 else 0
    if scaled and patch == PATCH and places != grid:
        raise WeightsError(
            f"is a ViT with layer scale, patches of {PATCH} and positions of {places}x{places}, as "
            f"DeiT III is, which no known encoder is; {kind} has {grid}x{grid}"
        )
    return kind


def name_of(path: names.Path) -> str:
    """Returns timm's name: params/encoder/blocks_2/attn/qkv/kernel -> blocks.2.attn.qkv.weight."""
    if len(path) == 3:
        return path[2]
    modules = list(path[2:-1])
    modules[0] = {"patch_embed": "patch_embed.proj"}.get(modules[0], modules[0].replace("_", "."))
    leaf = {"kernel": "weight", "scale": "weight"}.get(path[-1], path[-1])
    return ".".join([*modules, leaf])


@functools.cache
def shapes_of(kind: str) -> Mapping[names.Path, tuple[int, ...]]:
    """Returns path -> shape of every parameter of an encoder."""
    module, images = encoders.make_encoder(kind), jnp.zeros((1, PATCH, PATCH, 3))
    tree = jax.eval_shape(lambda: module.init(jax.random.key(0), images, False))
    return {
        ("params", "encoder", *path): leaf.shape
        for path, leaf in traverse_util.flatten_dict(tree["params"]).items()
    }


def slots(kind: str) -> Mapping[str, names.Slot]:
    """Returns every tensor of an encoder by timm's name; the special ones with our shape."""
    by_name = {}
    for path, shape in shapes_of(kind).items():
        name = name_of(path)
        by_name[name] = names.Slot(path, shape if name in _SPECIAL else names.torch_shape(shape))
    return by_name


def to_timm(variables: Mapping[str, Any], kind: str) -> dict[str, np.ndarray]:
    """Returns an encoder's tensors by timm's names, for a strict load into its VisionTransformer.

    As timm has them, a class token has a position vector (zero: ours is in the token) where there
    are no registers, and none where there are.

    Args:
      variables: {'params': {'encoder': ...}}; other parts stay.
      kind: the encoder's name.

    Raises:
      WeightsError: where it is no ViT, or not all of it is there.
    """
    flat = traverse_util.flatten_dict({"params": {"encoder": variables["params"]["encoder"]}})
    flat = {path: np.asarray(leaf, np.float32) for path, leaf in flat.items()}
    check_own({path: leaf.shape for path, leaf in flat.items()}, kind)
    tensors = {}
    for path, array in flat.items():
        name, width = name_of(path), array.shape[-1]
        if name == "pos_embed":
            array = array.reshape(1, -1, width)
            if ("params", "encoder", "reg_token") not in flat:
                array = np.concatenate([np.zeros((1, 1, width), np.float32), array], axis=1)
        elif name in ("cls_token", "reg_token"):
            array = array[None]
        else:
            array = names.to_torch(array)
        tensors[name] = array
    return tensors


def check_own(shapes: Mapping[names.Path, tuple[int, ...]], kind: str) -> None:
    """Raises WeightsError where parameters under our own names are not those of that encoder."""
    if not encoders.is_vit(kind):
        raise WeightsError(f"is said to be a {kind or 'nameless encoder'}, which is no ViT")
    wanted = {"/".join(p): names.Slot(p, s) for p, s in shapes_of(kind).items()}
    names.check(wanted, {"/".join(p): tuple(s) for p, s in shapes.items()}, f"a {kind}")
