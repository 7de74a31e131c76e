"""Reads what torch.save wrote, in any of its three formats, without PyTorch and safely.

- since 1.6: a zip archive of NAME/data.pkl and NAME/data/KEY, the storages' raw bytes;
- before: pickles one after the other (a magic number, the version, the machine, the object, the
  storages' keys), then each storage as an int64 count and its bytes;
- the first ones: a tar archive of `storages`, `tensors` and `pickle`.
Facts from PyTorch's own reader (torch/serialization.py). Storages in the last two are little-endian
whatever the machine that wrote them; a zip archive says so in NAME/byteorder.
"""

import contextlib
import errno
import functools
import io
import mmap
import pathlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

from geoseg_jax.core import archives
from geoseg_jax.interop import unpickling
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.tensors import DTYPES, Storage, Tensor, item_size

MAGIC = 0x1950A86A20F9469CFC6C
# Of an archive's data.pkl, which is names and shapes: 100 times what a ResNet-101 needs.
LARGEST_PICKLE = 64 * 2**20
_TAR_BLOCK = 512

_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "Untyped": "uint8",
}
_SYMBOLS = {
    f"{module}.{kind}{what}"
    for module in ("torch", "torch.cuda", "torch.storage")
    for kind in _STORAGES
    for what in ("Storage", "Tensor")
} | {f"torch.{dtype}" for dtype in DTYPES}


def load(path: pathlib.Path) -> Any:
    """Loads the object in a file: dicts, lists, numbers, and Tensor for every tensor.

    What it raises has no file name yet, and where the file is damaged is of many types, as is what
    the tensors raise when their numbers are read: call it and them within `naming`.

    Raises:
      WeightsError: where the file is none of torch.save, or asks for anything to be executed.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    reader = _reader(start)
    if reader is None:
        raise WeightsError(
            f"is neither a PyTorch file (.pth) nor a .safetensors: it starts with {start[:8]!r}"
        )
    return reader(path)


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Makes one line with the file's name of whatever reading it, now or later, raises."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path} {error}") from error
    except (
        *(struct.error, EOFError, ValueError, LookupError, TypeError, AttributeError),
        *(ArithmeticError, RuntimeError, MemoryError, OSError),
    ) as error:
        # A seek to a place that a damaged file names; other errors of the system are no damage.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        reason = str(error)[:120]
        raise WeightsError(
            f"{path} is truncated or damaged ({reason}); copy or download it again"
        ) from error


def _reader(start: bytes) -> Callable[[pathlib.Path], Any] | None:
    if start.startswith(b"PK\x03\x04"):
        return _load_zip
    if start.startswith(b"\x80"):
        return _load_pickles
    if start[257:262] == b"ustar":
        return _load_tar
    return None


def _load_zip(path: pathlib.Path) -> Any:
    archive = archives.Archive(path)
    sizes = archive.sizes()
    inside = [name for name in sizes if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(inside) != 1:
        raise WeightsError("is a zip archive, but not of PyTorch: it holds no data.pkl")
    folder = inside[0].removesuffix("data.pkl")
    if sizes[inside[0]] > LARGEST_PICKLE:
        raise WeightsError(f"has a data.pkl of more than {LARGEST_PICKLE >> 20} MiB")
    order = folder + "byteorder"
    big_endian = order in sizes and bytes(archive.read(order)).strip() == b"big"

    def storage(identifier: Any) -> Storage:
        kind, key, numel = _storage_identifier(identifier)
        dtype, name = _dtype_of(kind), f"{folder}data/{key}"
        if not 0 <= sizes.get(name, -1) - numel * item_size(dtype) < item_size(dtype):
            raise ValueError(f"storage {key} does not hold the {numel} numbers announced")
        return Storage(dtype, numel, functools.partial(archive.read, name), big_endian)

    pickled = io.BytesIO(archive.read(inside[0]))
    return unpickling.unpickle(pickled, _CALLS, _SYMBOLS.__contains__, storage, _holds_no_weights)


def _load_pickles(path: pathlib.Path) -> Any:
    file = _map(path)
    plain = functools.partial(unpickling.unpickle, file, {}, lambda _: False)
    if plain() != MAGIC:
        raise WeightsError("is a pickle, but not of PyTorch")
    plain()  # version of the format
    plain()  # sizes of numbers on the machine that wrote it
    places: dict[Any, memoryview] = {}

    def storage(identifier: Any) -> Storage:
        if identifier[0] == "module":
            return identifier[1]
        kind, key, numel = _storage_identifier(identifier)
        dtype = _dtype_of(kind)
        sizes.setdefault(key, (dtype, numel))
        offset, count = 0, numel
        if len(identifier) > 5 and identifier[5] is not None:
            _, offset, count = identifier[5]
        return Storage(dtype, count, lambda: _part(places[key], dtype, offset, count))

    sizes: dict[Any, tuple[str, int]] = {}
    value = unpickling.unpickle(file, _CALLS, _SYMBOLS.__contains__, storage, _holds_no_weights)
    for key in map(unpickling.as_key, plain()):
        dtype, numel = sizes[key]
        places[key] = _read_storage(file, dtype, numel)
    return value


def _load_tar(path: pathlib.Path) -> Any:
    file = _map(path)
    starts = _tar_members(file)
    if not {"storages", "tensors", "pickle"} <= starts.keys():
        raise WeightsError("is a tar archive, but not of PyTorch: unpack it first")
    file.seek(starts["storages"])
    storages = _tar_storages(file)
    file.seek(starts["tensors"])
    tensors = _tar_tensors(file, storages)
    file.seek(starts["pickle"])
    return unpickling.unpickle(
        file,
        _CALLS,
        _SYMBOLS.__contains__,
        lambda key: key[0] if isinstance(key, tuple) else tensors[int(key)],
    )


def _tar_members(file: mmap.mmap) -> dict[str, int]:
    """Name -> where the content begins, of the regular files in a tar archive (POSIX 1003.1 ustar).

    Links, and names longer than a header holds, are passed over: PyTorch wrote none.
    """
    starts: dict[str, int] = {}
    at = 0
    while (header := file[at : at + _TAR_BLOCK]).strip(b"\0"):
        if len(header) < _TAR_BLOCK:
            raise EOFError("it ends within a header")
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        if size < 0:
            raise ValueError(f"a member of {size} bytes")
        at += _TAR_BLOCK
        if header[156:157] in (b"0", b"\0"):
            starts[header[:100].rstrip(b"\0").decode("ascii")] = at
        at += -(-size // _TAR_BLOCK) * _TAR_BLOCK
    return starts


def _tar_storages(file: mmap.mmap) -> dict[int, Storage]:
    storages: dict[int, Storage] = {}
    read = functools.partial(unpickling.unpickle, file, {}, _SYMBOLS.__contains__)
    for _ in range(read()):
        key, _, kind = read()
        dtype = _dtype_of(kind)
        raw = _read_storage(file, dtype)
        storages[unpickling.as_key(key)] = Storage(
            dtype, len(raw) // item_size(dtype), lambda raw=raw: raw
        )
    for key, root, offset, count in read():
        whole = storages[unpickling.as_key(root)]
        dtype, raw = whole.dtype, whole.read()
        part = _part(raw, dtype, offset, count)
        storages[unpickling.as_key(key)] = Storage(dtype, count, lambda part=part: part)
    return storages


def _tar_tensors(file: mmap.mmap, storages: dict[int, Storage]) -> dict[int, Tensor]:
    tensors: dict[int, Tensor] = {}
    read = functools.partial(unpickling.unpickle, file, {}, _SYMBOLS.__contains__)
    for _ in range(read()):
        key, storage, _ = read()
        (axes,) = struct.unpack("<q", file.read(8))
        if not 0 <= axes <= 32:
            raise ValueError(f"a tensor of {axes} axes")
        shape = struct.unpack(f"<{axes}q", file.read(8 * axes))
        stride = struct.unpack(f"<{axes}q", file.read(8 * axes))
        (offset,) = struct.unpack("<q", file.read(8))
        whole = storages[unpickling.as_key(storage)]
        tensors[unpickling.as_key(key)] = _tensor(whole, offset, shape, stride)
    return tensors


def _map(path: pathlib.Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_storage(file: mmap.mmap, dtype: str, expected: int | None = None) -> memoryview:
    """Reads an int64 count and as many numbers, which stay on disk until they are looked at."""
    (numel,) = struct.unpack("<q", file.read(8))
    if numel < 0 or (expected is not None and numel != expected):
        raise ValueError(f"a storage of {numel} numbers where {expected} were announced")
    start, end = file.tell(), file.tell() + numel * item_size(dtype)
    if end > len(file):
        raise EOFError(f"it ends within a storage of {numel} numbers")
    file.seek(end)
    return memoryview(file)[start:end]


def _part(raw: memoryview, dtype: str, offset: int, count: int) -> memoryview:
    size = item_size(dtype)
    if offset < 0 or count < 0 or (offset + count) * size > len(raw):
        raise ValueError("a view leaves its storage")
    return raw[offset * size : (offset + count) * size]


def _storage_identifier(identifier: Any) -> tuple[Any, str | int, int]:
    """Returns kind, key and count of numbers of a storage that a pickle refers to."""
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        raise ValueError("a storage that is none")
    _, kind, key, _, numel = identifier[:5]
    if not isinstance(numel, int) or numel < 0:
        raise ValueError("a storage without a count of numbers")
    return kind, unpickling.as_key(key), numel


def _dtype_of(kind: Any) -> str:
    name = kind.name.rpartition(".")[2] if isinstance(kind, unpickling.Symbol) else ""
    return _STORAGES[name.removesuffix("Storage")]


def _tensor(storage: Storage, offset: int, shape: Any, stride: Any, *rest: Any) -> Tensor:
    """Stands in for PyTorch's _rebuild_tensor, and _v2 and _v3 with more arguments."""
    dtypes = [r.name.rpartition(".")[2] for r in rest if isinstance(r, unpickling.Symbol)]
    dtype = dtypes[0] if dtypes else storage.dtype
    plain = all(isinstance(numbers, tuple | list) for numbers in (shape, stride))
    if not isinstance(storage, Storage) or not plain or dtype not in DTYPES:
        raise ValueError("a tensor that is none")
    tensor = Tensor(storage, dtype, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))
    tensor.check()
    return tensor


def _same(tensor: Any, *_: Any) -> Any:
    """Stands in for what wraps a tensor."""
    return tensor


def _dict(items: Any = ()) -> dict[Any, Any]:
    return unpickling.dict_of(items.items() if isinstance(items, dict) else items)


# All that a pickle may call, and what it gets instead.
_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dict,
    "torch.Size": lambda *sizes: tuple(*sizes),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": _same,
    "torch._utils._rebuild_parameter_with_state": _same,
    "torch.nn.parameter.Parameter": _same,
    "collections.Counter": _dict,
    "collections.defaultdict": lambda *_: {},  # its items come afterwards
}
# What training scripts keep beside their state dicts: numbers, paths, times, containers, and the
# packages that their settings are objects of. An Unread stands for each; none is made.
_BUILTINS = ("set", "frozenset", "complex", "range", "slice", "bytearray", "object")
_BUILTINS += ("bool", "int", "float", "str", "bytes", "list", "tuple", "dict")
_BESIDE = {
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
    *(f"numpy.{name}" for name in ("dtype", "ndarray", "float64", "float32", "int64", "bool_")),
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
    *("_codecs.encode", "copyreg._reconstructor", "copy_reg._reconstructor", "typing.Any"),
    *("collections.deque", "types.SimpleNamespace", "torch.device", "argparse.Namespace"),
}
_BESIDE_MODULES = (
    *("pathlib.", "datetime.", "omegaconf.", "easydict.", "addict.", "yacs.config."),
    *("mmcv.utils.config.", "mmengine.config.", "mmengine.logging.", "vissl.utils.hydra_config."),
    *("pytorch_lightning.", "lightning.", "lightning_fabric."),
)


def _holds_no_weights(name: str) -> bool:
    return name in _BESIDE or name.startswith(_BESIDE_MODULES)
