"""From a weights file to our variables: unwrap, recognise by names and shapes, convert."""

import hashlib
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import safetensors
from flax import traverse_util

from geoseg_jax.interop import names, torch_files, vits
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import Storage, Tensor, item_size
from geoseg_jax.models import resnet, unet

WEIGHTS_FILE, DESCRIPTION_FILE = "weights.safetensors", "weights.json"
MONODEPTH2_FILES = ("encoder.pth", "depth.pth")
# Entries of a checkpoint that a state dict is found under.
WRAPPERS = ("state_dict", "model", "teacher")
# Key of Weights.source -> what its entry in a file's metadata is called behind 'source'.
_SOURCE = {"name": "", "sha256": "_sha256", "task": "_task"}
_SAFETENSORS = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8"},
    "BOOL": "bool",
}


class Weights(NamedTuple):
    """What a weights file holds, in our names.

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
        the name of its checkpoint, the sha256 of its parameters, and its task.
      changed: what was resampled or renamed to fit (see vits), a line each.
    """

    variables: dict[str, dict[str, Any]]
    kind: str
    encoder: str
    sha256: str
    normalisation: str = "imagenet"
    dropped: tuple[str, ...] = ()
    source: dict[str, str] | None = None
    changed: tuple[str, ...] = ()


def read_weights(path: str | pathlib.Path, normalisation: str = "") -> Weights:
    """Reads weights from elsewhere, or converted ones, without executing anything.

    Args:
      path: a .pth or .safetensors file (see the package's docstring for what is known), a folder
        with monodepth2's encoder.pth and depth.pth (or one of them), or a folder that
        `python -m geoseg_jax.interop` wrote.
      normalisation: what its encoder expects of the input, where the user knows better than what
        the file or its kind tells; '' otherwise.

    Raises:
      WeightsError: one line, where the file is missing, damaged, of an unknown architecture, has
        missing or superfluous names or other shapes, or asks for anything to be executed.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise WeightsError(f"{path} is not there: name a weights file or a folder of them")
    try:
        weights = _read_folder(path) if path.is_dir() else _read_file(path, normalisation)
        return weights._replace(normalisation=normalisation) if normalisation else weights
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror or error}") from error


def sha256_of_file(path: pathlib.Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_file(path: pathlib.Path, normalisation: str = "") -> Weights:
    with torch_files.naming(path):
        entries, metadata = _load(path)
        sha256 = sha256_of_file(path)
        if any(str(name).startswith("params/") for name in entries):
            weights = _take_ours(entries, metadata, sha256)
        else:
            normalisation = normalisation or _normalisation(metadata)
            weights = _convert(*_select(entries), sha256, normalisation, path)
        return weights._replace(source=_source(metadata))


def source_metadata(source: Mapping[str, str]) -> dict[str, str]:
    """Weights.source as entries of a .safetensors' metadata."""
    return {"source" + _SOURCE[key]: value for key, value in source.items()}


def _source(metadata: Mapping[str, str]) -> dict[str, str] | None:
    found = {key: metadata.get("source" + end) for key, end in _SOURCE.items()}
    return {k: v for k, v in found.items() if v is not None} if found["name"] else None


def _normalisation(metadata: Mapping[str, str]) -> str:
    """What a file that this package wrote says, or ''."""
    found = metadata.get("normalisation", "")
    if found and found not in resnet.NORMALISATIONS:
        known = ", ".join(resnet.NORMALISATIONS)
        raise WeightsError(f"expects its input normalised as {found!r}; known are {known}")
    return found


def _read_folder(folder: pathlib.Path) -> Weights:
    if (folder / WEIGHTS_FILE).is_file():
        return _read_file(folder / WEIGHTS_FILE)
    paths = [folder / name for name in MONODEPTH2_FILES if (folder / name).is_file()]
    if not paths:
        raise WeightsError(
            f"{folder} holds neither {WEIGHTS_FILE} nor {' nor '.join(MONODEPTH2_FILES)}; name the "
            "weights file itself"
        )
    if len(paths) == 1:
        return _read_file(paths[0])
    tensors, dropped = {}, []
    for path, start in zip(paths, ("conv1.", "decoder.0."), strict=True):
        with torch_files.naming(path):
            kind, found, left = _select(_load(path)[0])
            if kind != "monodepth2" or not any(name.startswith(start) for name in found):
                raise WeightsError("is not monodepth2's file of that name; name the file itself")
        tensors |= found
        dropped += left
    lines = "".join(f"{path.name} {sha256_of_file(path)}\n" for path in sorted(paths))
    with torch_files.naming(folder):
        sha256 = hashlib.sha256(lines.encode()).hexdigest()
        return _convert("monodepth2", tensors, tuple(dropped), sha256)


def _load(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A file's entries, unwrapped, most of them Tensors; and the metadata of a .safetensors."""
    with open(path, "rb") as file:
        start = file.read(9)
    if not start:
        raise WeightsError("is empty: copy or download it again")
    if start[8:] == b"{":
        return _load_safetensors(path)
    value = torch_files.load(path)
    while isinstance(value, dict):
        inner = next((k for k in WRAPPERS if isinstance(value.get(k), dict)), None)
        if inner is None:
            break
        value = value[inner]
    if not isinstance(value, dict):
        raise WeightsError(f"holds a {type(value).__name__.lower()} instead of a state dict")
    return {str(name): entry for name, entry in value.items()}, {}


def _load_safetensors(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    raw = path.read_bytes()
    try:
        entries = safetensors.deserialize(raw)
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return {name: _tensor(**entry) for name, entry in entries}, header.get("__metadata__") or {}


def _tensor(dtype: str, shape: list[int], data: bytearray) -> Tensor:
    if dtype not in _SAFETENSORS:
        raise WeightsError(f"has a tensor of type {dtype}; known are {', '.join(_SAFETENSORS)}")
    kind = _SAFETENSORS[dtype]
    stride = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = Storage(kind, len(data) // item_size(kind), lambda: memoryview(data))
    return Tensor(storage, kind, 0, tuple(shape), stride)


def _select(entries: Mapping[str, Any]) -> tuple[str, dict[str, Tensor], tuple[str, ...]]:
    """What to convert, under torchvision's names (and decoder.*): kind, tensors, names left out."""
    tensors = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    dropped = [name for name in entries if name not in tensors]
    # torch.nn.DataParallel puts this before every name.
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): t for name, t in tensors.items()}
    for prefix in vits.PREFIXES:
        inner = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if vits.is_vit(inner):
            dropped += [name for name in tensors if not name.startswith(prefix)]
            tensors = inner
    if vits.is_vit(tensors):
        kind, tensors, left = vits.select(tensors)
        return kind, tensors, tuple(sorted(dropped + left))
    if "encoder_q.conv1.weight" in tensors:
        kind, prefix = "moco", "encoder_q."
        # The other encoder is a moving average of this one; the queue holds its answers.
        other = [n for n in tensors if n.startswith(("encoder_k.", "queue"))]
        dropped += {"encoder_k.*" if n.startswith("encoder_k.") else n for n in other}
        tensors = {n: t for n, t in tensors.items() if n not in other}
    elif "encoder.conv1.weight" in tensors:
        kind, prefix = "monodepth2", "encoder."
    elif "decoder.0.conv.conv.weight" in tensors:
        kind, prefix = "monodepth2", ""
    elif "conv1.weight" in tensors and "layer1.0.conv1.weight" in tensors:
        kind, prefix = "torchvision", ""
    else:
        some = ", ".join(sorted(tensors)[:3]) or "none"
        raise WeightsError(
            f"is of no known architecture (tensors: {some}, ...); known are the residual networks "
            f"{', '.join(names.residual_networks())} of torchvision, MoCo v2 and monodepth2, "
            "monodepth2's depth decoder, and the ViTs of timm, DINO, DINOv2 and MAE"
        )
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    classifier = [n for n in tensors if n.startswith("fc.")]
    dropped += [prefix + name for name in classifier]
    # PyTorch's batch norms count their batches; with a fixed momentum the count has no use.
    counters = [n for n in tensors if n.endswith(".num_batches_tracked")]
    left = {*classifier, *counters}
    # The order of names in a .safetensors changes from one reading to the next.
    return kind, {n: t for n, t in tensors.items() if n not in left}, tuple(sorted(dropped))


def _convert(
    kind: str,
    tensors: Mapping[str, Tensor],
    dropped: tuple[str, ...],
    sha256: str,
    normalisation: str = "",
    path: pathlib.Path | None = None,
) -> Weights:
    if vits.is_vit(tensors):
        encoder, flat, changed = vits.convert(tensors)
        normalisation = normalisation or vits.normalisation_of(kind, tensors, dropped, path)
        variables = traverse_util.unflatten_dict(flat) | {"batch_stats": {}}
        done = Weights(variables, kind, encoder, sha256, normalisation, dropped)
        return done._replace(changed=changed)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    slots: dict[str, names.Slot] = {}
    encoder, what = "", []
    if "conv1.weight" in shapes:
        encoder = names.recognise(shapes)
        slots |= names.encoder_slots(encoder)
        what.append(f"a {encoder}")
    if "decoder.0.conv.conv.weight" in shapes:
        slots |= _decoder_slots(shapes, encoder)
        what.append("monodepth2's depth decoder")
    names.check(slots, shapes, " with ".join(what))
    flat = names.convert(slots, tensors)
    normalisation = normalisation or ("monodepth2" if kind == "monodepth2" else "imagenet")
    variables = {"params": {}, "batch_stats": {}} | traverse_util.unflatten_dict(flat)
    return Weights(variables, kind, encoder, sha256, normalisation, dropped)


def _decoder_slots(shapes: Mapping[str, tuple[int, ...]], encoder: str) -> Mapping[str, names.Slot]:
    """What a depth decoder of these widths, on this encoder ('' = whichever fits), must hold."""

    def width(level: int) -> int:
        shape = shapes.get(f"decoder.{2 * (4 - level)}.conv.conv.weight")
        return shape[0] if shape else unet.UNetDecoder.channels[level]

    last = shapes["decoder.0.conv.conv.weight"][1]
    fitting = [kind for kind in names.residual_networks() if names.stage_channels(kind)[32] == last]
    if not encoder and not fitting:
        raise WeightsError(f"is a depth decoder on {last} channels, which no known encoder has")
    scales = tuple(s for s in range(4) if f"decoder.{10 + s}.conv.weight" in shapes)
    widths = tuple(width(level) for level in range(5))
    return names.decoder_slots(widths, encoder or fitting[0], scales or (0,))


def _take_our_vit(
    flat: Mapping[names.Path, Any], metadata: Mapping[str, str], sha256: str
) -> Weights:
    encoder = metadata.get("encoder", "")
    shapes = {path: array.shape for path, array in flat.items() if path[1] == "encoder"}
    vits.check_own(shapes, encoder)
    variables = {"params": {}, "batch_stats": {}} | traverse_util.unflatten_dict(dict(flat))
    normalisation = _normalisation(metadata) or "imagenet"
    return Weights(variables, metadata.get("kind", "geoseg_jax"), encoder, sha256, normalisation)


def _take_ours(entries: Mapping[str, Any], metadata: Mapping[str, str], sha256: str) -> Weights:
    flat = {tuple(name.split("/")): tensor.array() for name, tensor in entries.items()}
    if any(path[1:3] == ("encoder", "blocks_0") for path in flat):
        return _take_our_vit(flat, metadata, sha256)
    encoder = ""
    shapes = {
        names.encoder_name(path): names.to_torch(array).shape
        for path, array in flat.items()
        if path[1] == "encoder"
    }
    if shapes:
        encoder = names.recognise(shapes)
        names.check(names.encoder_slots(encoder), shapes, f"a {encoder}")
    variables = {"params": {}, "batch_stats": {}} | traverse_util.unflatten_dict(flat)
    return Weights(
        variables,
        metadata.get("kind", "geoseg_jax"),
        encoder,
        sha256,
        _normalisation(metadata) or "imagenet",
    )
