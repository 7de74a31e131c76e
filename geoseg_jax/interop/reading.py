"""Reads a weights file into our variables: finds the encoder by names and shapes, converts it."""

import hashlib
import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import safetensors
from flax import traverse_util

from geoseg_jax.core.digest import sha256_of_file
from geoseg_jax.core.places import runs_inside
from geoseg_jax.interop import described, layouts, named, names, torch_files, vits
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.selecting import MONODEPTH2_DECODER, Selected, select
from geoseg_jax.interop.tensors import Storage, Tensor, item_size
from geoseg_jax.models import resnet, unet

WEIGHTS_FILE, DESCRIPTION_FILE = "weights.safetensors", "weights.json"
MONODEPTH2_FILES = ("encoder.pth", "depth.pth")
# Key of Weights.source -> what its entry in a file's metadata is called behind 'source'.
_SOURCE = {"name": "", "sha256": "_sha256", "task": "_task", "revision": "_revision"}
_LARGEST_HEADER = 4 * 2**20  # bytes of names and shapes in a .safetensors: 100 a tensor
_SAFETENSORS = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8"},
    "BOOL": "bool",
}


class Weights(NamedTuple):
    """The content of a weights file, in our names.

    Attributes:
      variables: {'params': {part: ...}, 'batch_stats': {part: ...}} of float32 numpy arrays, with
        the parts that the file has among encoder, decoder and head.
      kind: where they come from: 'torchvision', 'moco', 'monodepth2', 'mae', 'dinov2', 'timm' (any
        other ViT, by whose names they go) or 'geoseg_jax'.
      encoder: its name (models.ENCODERS), or '' where the file has no encoder.
      sha256: of the file; of two files, of the lines 'NAME SHA256' sorted by name.
      normalisation: what the encoder expects of its input (models.resnet.NORMALISATIONS).
      dropped: names in the file that have no place here (a classifier, a queue).
      source: where this is a converted file, what it was: name and sha256 of a file; or of a run
        the name of its checkpoint, the sha256 of its parameters, and its task. Of weights by name
        (see named) the name, the sha256 of the file, and the revision.
      changed: what was resampled or renamed to fit (see vits), a line each.
      prefix: what stands before the encoder's names in the file, dicts in dicts joined by dots.
    """

    variables: dict[str, dict[str, Any]]
    kind: str
    encoder: str
    sha256: str
    normalisation: str = "imagenet"
    dropped: tuple[str, ...] = ()
    source: dict[str, str] | None = None
    changed: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def untrained(self) -> str:
        """Warns where batch norms have the statistics that they begin with; '' otherwise.

        By mean 0 and variance 1. A count of 0 batches says nothing where the statistics are others:
        those who convert weights from elsewhere leave it at that.
        """
        layers = traverse_util.flatten_dict(
            self.variables["batch_stats"], is_leaf=lambda _, tree: "mean" in tree
        )
        fresh = [s for s in layers.values() if not s["mean"].any() and (s["var"] == 1).all()]
        if not fresh:
            return ""
        return (
            f"{len(fresh)} of {len(layers)} batch norms have the statistics of an untrained "
            "network, mean 0 and variance 1"
        )


def read_weights(path: str | pathlib.Path, normalisation: str = "", prefix: str = "") -> Weights:
    """Reads weights from elsewhere, or converted ones, without executing anything.

    Args:
      path: a .pth or .safetensors file (see the package's docstring for what is known), a folder
        with monodepth2's encoder.pth and depth.pth (or one of them), a folder that
        `python -m geoseg_jax.weights` wrote, or a name such as hf:OWNER/NAME (see named).
      normalisation: what its encoder expects of the input, where the user knows better than what
        the file or its kind tells; '' otherwise.
      prefix: of the encoder's names, where a file holds several encoders; see `layouts.at`. '' to
        have it found.

    Raises:
      WeightsError: one line, where the file is missing, damaged, of an unknown architecture, has
        missing or superfluous names or other shapes, holds several encoders and no prefix is given,
        or asks for anything to be executed; for an unknown normalisation.
    """
    if normalisation not in ("", *resnet.NORMALISATIONS):
        known = ", ".join(resnet.NORMALISATIONS)
        raise WeightsError(f"{path}: normalisation={normalisation!r} is none of {known}")
    if named.is_name(path):
        return _read_named(str(path), normalisation, prefix)
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise WeightsError(f"{path} is not there: name a weights file or a folder of them")
    try:
        read = _read_folder if path.is_dir() else _read_file
        weights = read(path, normalisation, prefix)
        return weights._replace(normalisation=normalisation) if normalisation else weights
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror or error}") from error


def _read_named(name: str, normalisation: str, prefix: str) -> Weights:
    file = named.fetch(name)
    weights = read_weights(file.path, normalisation, prefix)
    named.check_hash(file, weights.sha256)
    origin = {"name": name, "sha256": weights.sha256, "revision": file.revision}
    return weights if weights.source else weights._replace(source=origin)


def _read_file(path: pathlib.Path, normalisation: str, prefix: str) -> Weights:
    with torch_files.naming(path):
        entries, metadata = _load(path)
        sha256 = sha256_of_file(path)
        if any(name.startswith("params/") for name in entries):
            _refuse_prefix(prefix, "was converted already")
            weights = _take_ours(entries, metadata, sha256, path.stat().st_size)
        else:
            normalisation = normalisation or _normalisation(metadata)
            weights = _convert(select(entries, prefix), sha256, normalisation, entries, path)
        return weights._replace(source=_source(metadata))


def _refuse_prefix(prefix: str, why: str) -> None:
    if prefix:
        raise WeightsError(f"{why}, so that the prefix {prefix!r} has no effect; drop it")


def source_metadata(source: Mapping[str, str]) -> dict[str, str]:
    """Writes Weights.source as entries of a .safetensors' metadata."""
    return {"source" + _SOURCE[key]: value for key, value in source.items()}


def _source(metadata: Mapping[str, str]) -> dict[str, str] | None:
    source = {key: metadata.get("source" + end) for key, end in _SOURCE.items()}
    return {k: v for k, v in source.items() if v is not None} if source["name"] else None


def _normalisation(metadata: Mapping[str, str]) -> str:
    """Returns what a file that this package wrote says, or ''."""
    name = metadata.get("normalisation", "")
    if name and name not in resnet.NORMALISATIONS:
        known = ", ".join(resnet.NORMALISATIONS)
        raise WeightsError(f"expects its input normalised as {name!r}; known are {known}")
    return name


def _read_folder(folder: pathlib.Path, normalisation: str, prefix: str) -> Weights:
    if (folder / WEIGHTS_FILE).is_file():
        return _read_file(folder / WEIGHTS_FILE, normalisation, prefix)
    paths = [folder / name for name in MONODEPTH2_FILES if (folder / name).is_file()]
    if not paths:
        raise WeightsError(
            f"{folder} holds neither {WEIGHTS_FILE} nor {' nor '.join(MONODEPTH2_FILES)}; name the "
            f"weights file itself{runs_inside(folder)}"
        )
    if len(paths) == 1:
        return _read_file(paths[0], normalisation, prefix)
    with torch_files.naming(folder):
        _refuse_prefix(prefix, "holds monodepth2's files")
    encoder, decoder = (_select_monodepth2(path) for path in paths)
    chosen = encoder._replace(
        kind="monodepth2",
        unsure=encoder.kind != "monodepth2",
        tensors=encoder.tensors | decoder.tensors,
        dropped=encoder.dropped + decoder.dropped,
    )
    lines = "".join(f"{path.name} {sha256_of_file(path)}\n" for path in sorted(paths))
    with torch_files.naming(folder):
        sha256 = hashlib.sha256(lines.encode()).hexdigest()
        return _convert(chosen, sha256, normalisation, {}, folder)


def _select_monodepth2(path: pathlib.Path) -> Selected:
    """Selects what a folder's encoder.pth or depth.pth holds."""
    with torch_files.naming(path):
        weights = select(_load(path)[0], "")
        part = "decoder" if MONODEPTH2_DECODER in weights.tensors else "resnet"
        expected = "resnet" if path.name == MONODEPTH2_FILES[0] else "decoder"
        if weights.kind not in ("monodepth2", "torchvision") or part != expected:
            raise WeightsError("is not monodepth2's file of that name; name the file itself")
        return weights


def _load(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Loads a file's entries by flat names, many of them Tensors; and a .safetensors' metadata."""
    with open(path, "rb") as file:
        start = file.read(9)
    if not start:
        raise WeightsError("is empty: copy or download it again")
    if start[8:] == b"{":
        return _load_safetensors(path)
    value = torch_files.load(path)
    if not isinstance(value, dict):
        raise WeightsError(f"holds a {type(value).__name__.lower()} instead of a state dict")
    return layouts.flatten(value), {}


def _load_safetensors(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LARGEST_HEADER:
            raise WeightsError(f"has a header of more than {_LARGEST_HEADER >> 20} MiB")
        file.seek(0)
        raw = file.read()
    try:
        entries = safetensors.deserialize(raw)
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error
    header = json.loads(raw[8 : 8 + length])
    return {name: _tensor(**entry) for name, entry in entries}, header.get("__metadata__") or {}


def _tensor(dtype: str, shape: list[int], data: bytearray) -> Tensor:
    if dtype not in _SAFETENSORS:
        raise WeightsError(f"has a tensor of type {dtype}; known are {', '.join(_SAFETENSORS)}")
    kind = _SAFETENSORS[dtype]
    stride = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = Storage(kind, len(data) // item_size(kind), lambda: memoryview(data))
    return Tensor(storage, kind, 0, tuple(shape), stride)


def _convert(
    chosen: Selected,
    sha256: str,
    normalisation: str,
    every: Iterable[str],
    path: pathlib.Path,
) -> Weights:
    kind, prefix, vit, tensors, dropped, unsure = chosen
    if vit:
        encoder, flat, changed = vits.convert(tensors)
        normalisation = normalisation or vits.normalisation_of(kind, tensors, every, path)
        variables = traverse_util.unflatten_dict(flat) | {"batch_stats": {}}
        done = Weights(variables, kind, encoder, sha256, normalisation, dropped)
        return done._replace(changed=changed, prefix=prefix)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    slots: dict[str, names.Slot] = {}
    encoder, what = "", []
    if "conv1.weight" in shapes:
        encoder = names.recognise(shapes)
        slots |= names.encoder_slots(encoder)
        what.append(f"a {encoder}")
    if MONODEPTH2_DECODER in shapes:
        slots |= _decoder_slots(shapes, encoder)
        what.append("monodepth2's depth decoder")
    names.check(slots, shapes, " with ".join(what))
    if unsure and not normalisation:
        raise WeightsError(
            "has what monodepth2's files have (a picture's height and width, or its decoder), but "
            "not all of it (use_stereo beside the encoder), so that its input may be normalised by "
            "monodepth2's mean or by ImageNet's; convert it with python -m geoseg_jax.weights and "
            "--normalisation=monodepth2 or --normalisation=imagenet"
        )
    flat = names.convert(slots, tensors)
    if not normalisation and kind == "torchvision":
        normalisation = described.normalisation_beside(path)
    normalisation = normalisation or ("monodepth2" if kind == "monodepth2" else "imagenet")
    variables = {"params": {}, "batch_stats": {}} | traverse_util.unflatten_dict(flat)
    return Weights(variables, kind, encoder, sha256, normalisation, dropped, prefix=prefix)


def _decoder_slots(shapes: Mapping[str, tuple[int, ...]], encoder: str) -> Mapping[str, names.Slot]:
    """Returns what a depth decoder of these widths must hold; encoder '': one that fits."""

    def width(level: int) -> int:
        shape = shapes.get(f"decoder.{2 * (4 - level)}.conv.conv.weight")
        return shape[0] if shape else unet.UNetDecoder.channels[level]

    last = shapes[MONODEPTH2_DECODER][1]
    fitting = [kind for kind in names.residual_networks() if names.stage_channels(kind)[32] == last]
    if not encoder and not fitting:
        raise WeightsError(f"is a depth decoder on {last} channels, which no known encoder has")
    scales = tuple(s for s in range(4) if f"decoder.{10 + s}.conv.weight" in shapes)
    widths = tuple(width(level) for level in range(5))
    return names.decoder_slots(widths, encoder or fitting[0], scales or (0,))


def _take_ours(
    entries: Mapping[str, Any], metadata: Mapping[str, str], sha256: str, size: int
) -> Weights:
    """Takes a file of our own names; size: its bytes, which all numbers in it have to fit into."""
    tensors = {_our_path(name, entry): entry for name, entry in entries.items()}
    if any(path[:depth] in tensors for path in tensors for depth in range(3, len(path))):
        raise WeightsError("has an array within another; convert the original again")
    if sum(math.prod(t.shape) * item_size(t.dtype) for t in tensors.values()) > size:
        raise WeightsError("announces more numbers than it holds; convert the original again")
    encoder = _our_encoder(tensors, metadata)
    flat = {path: tensor.array() for path, tensor in tensors.items()}
    variables = {"params": {}, "batch_stats": {}} | traverse_util.unflatten_dict(flat)
    kind = metadata.get("kind", "geoseg_jax")
    return Weights(variables, kind, encoder, sha256, _normalisation(metadata) or "imagenet")


def _our_path(name: str, entry: Any) -> names.Path:
    """Returns the place of an array of a converted file."""
    path = tuple(name.split("/"))
    good = len(path) > 2 and path[0] in ("params", "batch_stats") and all(path)
    if not good or not isinstance(entry, Tensor):
        raise WeightsError(f"has an entry {name[:80]!r} that is no array of ours; convert it again")
    return path


def _our_encoder(tensors: Mapping[names.Path, Tensor], metadata: Mapping[str, str]) -> str:
    """Recognises the encoder by names and shapes; '' where there is none. No number is read."""
    inside = {path: tensor for path, tensor in tensors.items() if path[1] == "encoder"}
    if any(path[2] == "blocks_0" for path in inside):
        encoder = metadata.get("encoder", "")
        vits.check_own({path: tensor.shape for path, tensor in inside.items()}, encoder)
        return encoder
    shapes = {names.encoder_name(p): names.torch_shape(t.shape) for p, t in inside.items()}
    if not shapes:
        return ""
    encoder = names.recognise(shapes)
    names.check(names.encoder_slots(encoder), shapes, f"a {encoder}")
    return encoder
