"""Files as torch.save writes them, in its three formats, made without PyTorch."""

import collections
import contextlib
import io
import pathlib
import pickle
import struct
import sys
import tarfile
import types
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"float32": "Float", "float16": "Half", "int64": "Long", "float64": "Double"}


class Tensor:
    """An array that is pickled as PyTorch pickles a tensor; `kind` overrides its storage's name."""

    def __init__(self, array: Any, kind: str = "") -> None:
        self.array = np.asarray(array)
        self.kind = kind or STORAGES[self.array.dtype.name]
        self.key = str(id(self))


class _Storage:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def state_dict(arrays: dict[str, np.ndarray]) -> collections.OrderedDict:
    """Names to tensors, in an OrderedDict with a state of its own, as a module's is."""
    made = collections.OrderedDict((name, Tensor(array)) for name, array in arrays.items())
    made._metadata = collections.OrderedDict({"": {"version": 1}})
    return made


@contextlib.contextmanager
def torch_names() -> Iterator[dict[str, Any]]:
    """Modules called torch for as long as something is pickled that mentions their names."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}

    def _rebuild_tensor_v2(*_):
        raise AssertionError("names are written, not called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        ("_rebuild_tensor_v2"),
    )
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    names = {"rebuild": _rebuild_tensor_v2}
    for kind in (*STORAGES.values(), "BFloat16"):
        names[kind] = type(f"{kind}Storage", (), {"__module__": "torch"})
        setattr(modules["torch"], f"{kind}Storage", names[kind])
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield names
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def _strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in np.ascontiguousarray(array).strides)[: array.ndim]


def _pickle(value: Any, legacy: bool, seen: dict[str, Tensor]) -> bytes:
    with torch_names() as names:

        class Pickler(pickle.Pickler):
            def persistent_id(self, found):
                if not isinstance(found, _Storage):
                    return None
                tensor = found.tensor
                seen.setdefault(tensor.key, tensor)
                view = (None,) if legacy else ()
                storage = names[tensor.kind]
                return ("storage", storage, tensor.key, "cpu", tensor.array.size, *view)

            def reducer_override(self, found):
                if not isinstance(found, Tensor):
                    return NotImplemented
                array = found.array
                hooks = collections.OrderedDict()
                arguments = (_Storage(found), 0, array.shape, _strides(array), False, hooks)
                return names["rebuild"], arguments

        buffer = io.BytesIO()
        Pickler(buffer, 2).dump(value)
        return buffer.getvalue()


def _raw(tensor: Tensor, order: str = "<") -> bytes:
    return tensor.array.astype(tensor.array.dtype.newbyteorder(order)).tobytes()


def write_zip(path: pathlib.Path, value: Any, *, big_endian: bool = False) -> None:
    """The format since PyTorch 1.6."""
    seen: dict[str, Tensor] = {}
    pickled = _pickle(value, False, seen)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "big" if big_endian else "little")
        for key, tensor in seen.items():
            archive.writestr(f"archive/data/{key}", _raw(tensor, ">" if big_endian else "<"))
        archive.writestr("archive/version", "3\n")


def write_pickles(path: pathlib.Path, value: Any) -> None:
    """The format before: pickles, then the storages."""
    seen: dict[str, Tensor] = {}
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    pickled = _pickle(value, True, seen)
    with open(path, "wb") as file:
        for part in (MAGIC, 1001, machine):
            pickle.dump(part, file, protocol=2)
        file.write(pickled)
        pickle.dump(sorted(seen), file, protocol=2)
        for key in sorted(seen):
            file.write(struct.pack("<q", seen[key].array.size) + _raw(seen[key]))


def write_tar(path: pathlib.Path, value: dict[str, Tensor]) -> None:
    """The first format: storages, tensors and pickle in a tar archive."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, found):
            return found.key if isinstance(found, Tensor) else None

    storages, tensors, pickled = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with torch_names() as names:
        found = list(value.values())
        pickle.dump(len(found), storages, protocol=2)
        pickle.dump(len(found), tensors, protocol=2)
        for number, tensor in enumerate(found):
            array = tensor.array
            pickle.dump((number, "cpu", names[tensor.kind]), storages, protocol=2)
            storages.write(struct.pack("<q", array.size) + _raw(tensor))
            pickle.dump((int(tensor.key), number, names[tensor.kind]), tensors, protocol=2)
            axes = struct.pack("<ii", array.ndim, 0)
            strides = _strides(array)
            tensors.write(axes + struct.pack(f"<{2 * array.ndim}q", *array.shape, *strides))
            tensors.write(struct.pack("<q", 0))
        pickle.dump([], storages, protocol=2)
        Pickler(pickled, 2).dump(value)
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, buffer in (("pickle", pickled), ("tensors", tensors), ("storages", storages)):
            member = tarfile.TarInfo(name)
            member.size = buffer.tell()
            buffer.seek(0)
            archive.addfile(member, buffer)


FORMATS = {"zip": write_zip, "pickles": write_pickles, "tar": write_tar}
