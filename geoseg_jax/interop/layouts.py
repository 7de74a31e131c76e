"""Knows how others name a ResNet's or a ViT's arrays; finds the prefix that has them all.

A file is taken as one flat list of names, a dict within a dict giving `state_dict.conv1.weight`. So
whatever wraps a network (a training script's dict, DataParallel, a segmenter, a contrastive pair)
is a prefix of its names. A prefix fits where every array of a known encoder is under it, with its
shape. Facts on names from the public code of the projects that LAYOUTS names.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import Tensor, concatenate

# Where a method trains two encoders and one of them is what it publishes: (that one, the other).
_PUBLISHED = (
    ("encoder_q", "encoder_k"),  # MoCo v1 and v2: the other is a moving average of this one
    ("encoder", "encoder_k"),  # PixPro
    ("base_encoder", "momentum_encoder"),  # MoCo v3
    ("encoder", "momentum_encoder"),
    ("backbone", "momentum_backbone"),  # solo-learn
    ("teacher", "student"),  # DINO, iBOT
)
_DEEPEST, _MOST, _LONGEST = 32, 1 << 18, 1000  # dicts, entries, characters of a name
# Parts of a prefix that say how a network ran and not which one it is.
_HOW_IT_RAN = ("module", "_orig_mod")


class Layout(NamedTuple):
    """One way to name an encoder's arrays.

    Attributes:
      family: 'resnet' or 'vit'.
      anchors: two names that together tell this layout.
      rules: (regular expression for a name's beginning, replacement) -> torchvision's name (of a
        ResNet) or timm's (of a ViT); the first that matches counts, other names stay.
      joined: whether query, key and value are layers of their own, which timm has as one.
    """

    family: str
    anchors: tuple[str, str]
    rules: tuple[tuple[str, str], ...] = ()
    joined: bool = False


class Place(NamedTuple):
    """An encoder that may be whole: everything under `prefix`, by torchvision's or timm's names.

    origins: which names of the file, without the prefix, each tensor has come from.
    """

    prefix: str
    family: str
    tensors: dict[str, Tensor]
    origins: dict[str, tuple[str, ...]]


def flatten(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Flattens dicts within dicts, names joined by dots.

    Raises:
      WeightsError: where two entries come to have the same name; and for more entries, deeper dicts
        or longer names than any checkpoint has, as of a dict that holds itself.
    """
    flat: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    count = 0
    while waiting:
        name, entry, depth = waiting.pop()
        if depth > _DEEPEST or len(name) > _LONGEST:
            raise WeightsError(
                f"holds dicts within dicts deeper than {_DEEPEST} or a name longer than "
                f"{_LONGEST}: save the state dict alone"
            )
        if isinstance(entry, dict) and (entry or not depth):
            count += len(entry)
            if count > _MOST:
                raise WeightsError(f"holds more than {_MOST} entries: save the state dict alone")
            before = f"{name}." if depth else ""
            inside = reversed(entry.items())  # the last of the list is taken first
            waiting += [(f"{before}{key}", inner, depth + 1) for key, inner in inside]
        elif name in flat:
            raise WeightsError(f"has two entries called {name!r}; save the state dict alone")
        else:
            flat[name] = entry
    return flat


def places(entries: Mapping[str, Any]) -> list[Place]:
    """Returns every prefix under which the anchors of a layout are, in the order of the file."""
    tensors = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    by_prefix = {}
    for name in tensors:
        for layout in LAYOUTS:
            first, second = layout.anchors
            prefix = name.removesuffix(first)
            whole_names = name.endswith(first) and prefix[-1:] in ("", ".")
            if whole_names and prefix + second in tensors:
                by_prefix[prefix] = _place(layout, prefix, tensors)
    return list(by_prefix.values())


def _place(layout: Layout, prefix: str, tensors: Mapping[str, Tensor]) -> Place:
    inside = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
    renamed = {_rename(name, layout.rules): tensor for name, tensor in inside.items()}
    origins = {_rename(name, layout.rules): (name,) for name in inside}
    for name in [n for n in renamed if layout.joined and ".attn.query." in n]:
        three = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in renamed for part in three):
            whole = name.replace(".query.", ".qkv.")
            renamed[whole] = concatenate([renamed.pop(part) for part in three])
            origins[whole] = tuple(origins.pop(part)[0] for part in three)
    return Place(prefix, layout.family, renamed, origins)


def _rename(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        changed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return changed
    return name


def at(candidates: Sequence[Place], prefix: str) -> list[Place]:
    """Returns those with that prefix, written with or without its last dot; '.' is none at all."""
    return [place for place in candidates if place.prefix.rstrip(".") == prefix.rstrip(".")]


def choose(candidates: Sequence[Place], prefix: str) -> Place:
    """Returns the one of several whole encoders that is meant.

    Args:
      candidates: one or more.
      prefix: what the user asks for, see `at`; '' to choose by the file.

    Raises:
      WeightsError: where none has that prefix, or several fit and no method tells which is meant.
    """
    asked = at(candidates, prefix) if prefix else candidates
    if not asked:
        raise WeightsError(
            f"has no whole encoder under the prefix {prefix!r}; there is one under "
            f"{_listed(candidates)}"
        )
    left = [p for p in asked if not any(_publishes(other, p) for other in asked)]
    if len(left) == 1:
        return left[0]
    raise WeightsError(
        f"has a whole encoder under each of {_listed(left)}; say which one you mean: convert it "
        f"with python -m geoseg_jax.weights and --prefix={left[0].prefix or '.'}, or set "
        f"config.transfer.prefix={left[0].prefix or '.'!r} where a run starts from it"
    )


def _listed(candidates: Sequence[Place]) -> str:
    return ", ".join(repr(place.prefix or ".") for place in candidates)


def _publishes(one: Place, other: Place) -> bool:
    """Tells whether a method that trains both is known to publish `one`."""
    a, b = ([s for s in p.prefix.split(".") if s not in _HOW_IT_RAN] for p in (one, other))
    unlike = [pair for pair in zip(a, b, strict=False) if pair[0] != pair[1]]
    return len(a) == len(b) and len(unlike) == 1 and unlike[0] in _PUBLISHED


def left_out(entries: Iterable[str], prefix: str, taken: Sequence[str]) -> tuple[str, ...]:
    """Lists what of a file is unused: names under the prefix, and the outermost groups of the rest.

    Args:
      entries: names of `flatten`.
      taken: names under the prefix that are used, without it.
    """
    used = {prefix + name for name in taken}
    return tuple(sorted({_group(name, prefix) for name in entries if name not in used}))


def _group(name: str, prefix: str) -> str:
    """Shortens a name to a part, with '.*', that no name under the prefix begins with."""
    if name.startswith(prefix):
        return name
    parts = name.split(".")
    groups = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    group = next((group for group in groups if not prefix.startswith(f"{group}.")), name)
    return group if group == name else f"{group}.*"


_TIMM = ((r"register_tokens$", "reg_token"),)  # DINOv2's own name
_TRANSFORMERS = (
    (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"embeddings\.position_embeddings$", "pos_embed"),
    (r"embeddings\.register_tokens$", "reg_token"),
    (r"embeddings\.", ""),  # cls_token, mask_token
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.", r"blocks.\1.attn.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"blocks.\1.attn.proj."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"blocks.\1.mlp.fc1."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"blocks.\1.mlp.fc2."),
    (r"encoder\.layer\.(\d+)\.layernorm_before\.", r"blocks.\1.norm1."),
    (r"encoder\.layer\.(\d+)\.layernorm_after\.", r"blocks.\1.norm2."),
    (r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1$", r"blocks.\1.ls\2.gamma"),
    (r"encoder\.layer\.", "blocks."),  # DINOv2's norm1, norm2, mlp.fc1 and mlp.fc2
    (r"layernorm\.", "norm."),
)
_OPENMMLAB = (
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"layers\.(\d+)\.attn\.attn\.in_proj_", r"blocks.\1.attn.qkv."),
    (r"layers\.(\d+)\.attn\.attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"layers\.(\d+)\.ln([12])\.", r"blocks.\1.norm\2."),
    (r"layers\.", "blocks."),
    (r"ln1\.", "norm."),
)
# A ResNet without its classifier as torch.nn.Sequential(*children), as in SimCLR's and BYOL's
# reimplementations: 2 and 3 are the ReLU and the pooling.
_SEQUENTIAL = (
    (r"0\.", "conv1."),
    (r"1\.", "bn1."),
    *((rf"{stage + 3}\.(?=\d)", rf"layer{stage}.") for stage in (1, 2, 3, 4)),
)


LAYOUTS = (
    # torchvision's, timm's, and of all who build on them: MoCo, SwAV, VISSL, mmseg, smp, ...
    Layout("resnet", ("layer1.0.conv1.weight", "conv1.weight")),
    Layout("resnet", ("4.0.conv1.weight", "0.weight"), _SEQUENTIAL),
    # timm's, DeiT's, DINO's, DINOv2's, MAE's, MoCo v3's
    Layout("vit", ("blocks.0.attn.qkv.weight", "patch_embed.proj.weight"), _TIMM),
    # transformers': ViT, ViTMAE, DINO, DINOv2
    Layout(
        "vit",
        (
            "encoder.layer.0.attention.attention.query.weight",
            "embeddings.patch_embeddings.projection.weight",
        ),
        _TRANSFORMERS,
        joined=True,
    ),
    # mmseg's and mmpretrain's
    Layout("vit", ("layers.0.ln1.weight", "patch_embed.projection.weight"), _OPENMMLAB),
)
