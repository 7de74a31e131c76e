"""The three formats of torch.save: read alike, refused in one line, and nothing executed."""

import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest

from geoseg_jax.interop import WeightsError, torch_files
from tests.interop import fabricate

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.float16([0.5, -2]),
    "c": np.array(2**40, np.int64),
    "d": np.zeros((0, 3), np.float64),
}


def load(path):
    with torch_files.naming(path):
        value = torch_files.load(path)
        if not isinstance(value, dict):
            raise WeightsError("holds no dict")
        tensors = {n: t for n, t in value.items() if isinstance(t, torch_files.Tensor)}
        return {name: tensor.array() for name, tensor in tensors.items()}


def assert_arrays(found):
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].shape == expected.shape


@pytest.mark.parametrize("kind", fabricate.FORMATS)
def test_every_format(tmp_path, kind):
    path = tmp_path / "x.pth"
    fabricate.FORMATS[kind](path, fabricate.state_dict(ARRAYS))
    assert_arrays(load(path))


@pytest.mark.parametrize("kind", fabricate.FORMATS)
def test_what_is_fabricated_is_what_pytorch_reads(tmp_path, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    path = tmp_path / "x.pth"
    fabricate.FORMATS[kind](path, fabricate.state_dict(ARRAYS))
    # It refuses tar archives unless it may execute what they ask for; this one is ours.
    value = torch.load(path, weights_only=kind != "tar")
    assert_arrays({name: tensor.numpy() for name, tensor in value.items()})


@pytest.mark.parametrize("new", [True, False])
def test_what_pytorch_writes(tmp_path, new):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to read")
    base = torch.arange(24.0)
    value = {
        "parameter": torch.nn.Parameter(base.reshape(4, 6)),
        "transposed": base.reshape(4, 6).T,
        "window": base[5:9],
        "strided": base.reshape(4, 6)[1::2, ::3],
        "bfloat16": torch.tensor([1.5, -3.0, 1e30], dtype=torch.bfloat16),
        "half": torch.tensor([1.5]).half(),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(3),
    }
    path = tmp_path / "x.pth"
    torch.save(value, path, _use_new_zipfile_serialization=new)
    found = load(path)
    for name, tensor in value.items():
        expected = tensor.detach().float().numpy()
        np.testing.assert_array_equal(found[name].astype(np.float32), expected, err_msg=name)


def test_nested_values_come_as_they_are(tmp_path):
    value = {"epoch": 3, "list": [1, (2.5, None), "s"], "flag": True, "t": (1, 2, 3, 4)}
    for kind in ("zip", "pickles"):
        fabricate.FORMATS[kind](tmp_path / kind, value)
        assert torch_files.load(tmp_path / kind) == value


def test_byte_order_and_bfloat16(tmp_path):
    path = tmp_path / "x.pth"
    fabricate.write_zip(path, fabricate.state_dict(ARRAYS), big_endian=True)
    assert_arrays(load(path))
    upper = fabricate.Tensor(np.array([0x3FC0, 0xC040], np.uint16), "BFloat16")
    fabricate.write_zip(path, {"x": upper})
    np.testing.assert_array_equal(load(path)["x"], np.float32([1.5, -3.0]))


class Attack:
    """Runs a command when Python's own unpickler reads it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", ["zip", "pickles"])
def test_an_object_to_be_executed_is_refused_by_name(tmp_path, kind):
    path, marker = tmp_path / "x.pth", tmp_path / "marker"
    value = fabricate.state_dict(ARRAYS)
    value["evil"] = Attack(marker)
    fabricate.FORMATS[kind](path, value)
    with pytest.raises(WeightsError, match=r"x\.pth asks for '(posix|nt)\.system'.*not.*executed"):
        load(path)
    assert not marker.exists()
    # It would have run.
    pickle.loads(pickle.dumps(Attack(marker)))
    assert marker.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"cos\nsystem\n(S'echo'\ntR.", r"os\.system"),
        (b"(S'echo'\nios\nsystem\n.", "instruction INST"),
        (b"(cos\nsystem\nS'echo'\no.", r"os\.system"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", r"builtins\.eval"),
        # A name that is known but no function, and a tensor called like one.
        (b"\x80\x02ctorch\nFloatStorage\n)R.", r"'torch\.FloatStorage' to be called"),
        (b"\x80\x02}q\x00(K\x01K\x02u)R.", "'dict' to be called"),
        (b"\x80\x04\x8c\x0bcollections\x8c\x15OrderedDict.__class__\x93.", "__class__"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "truncated or damaged"),
        (b"\x80\x02K", "truncated or damaged"),
        (b"\x80\x02h\x05.", "truncated or damaged"),
        (b"\x80\x02.", "truncated or damaged"),
        (b"\x80\x02u.", "truncated or damaged"),
        (b"\x80\x02]}s.", "truncated or damaged"),
    ],
)
def test_hostile_and_broken_pickles(tmp_path, program, message):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(WeightsError, match=message) as error:
        load(path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("kind", fabricate.FORMATS)
def test_cut_off_anywhere_it_is_told_in_one_line(tmp_path, kind):
    path = tmp_path / "x.pth"
    fabricate.FORMATS[kind](path, fabricate.state_dict(ARRAYS))
    whole = path.read_bytes()
    # A tar archive ends in blocks of zeros, and its last member may be cut within its padding.
    needed = len(whole.rstrip(b"\0")) - 1 if kind == "tar" else len(whole) - 1
    for length in np.linspace(4, needed, 60, dtype=int):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError) as error:
            load(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", fabricate.FORMATS)
def test_damaged_bytes_give_no_other_error(tmp_path, kind):
    path = tmp_path / "x.pth"
    fabricate.FORMATS[kind](path, fabricate.state_dict(ARRAYS))
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole.rstrip(b"\0")), 2):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile, of names that occur twice
                load(path)
        except WeightsError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((3,), (1,), 4), ((7,), (1,), 0), ((2,), (-1,), 5), ((2, 3), (3, 2), 0), ((-1,), (1,), 0)],
)
def test_a_tensor_beyond_its_storage_is_refused(shape, stride, offset):
    raw = np.arange(6, dtype=np.float32).tobytes()
    storage = torch_files.Storage("float32", 6, lambda: raw)
    tensor = torch_files.Tensor(storage, "float32", offset, shape, stride)
    with pytest.raises(WeightsError, match="beyond its 6 stored numbers"):
        tensor.array()


def test_other_archives_are_named(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="zip archive, but not of PyTorch"):
        load(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="a pickle, but not of PyTorch"):
        load(path)
