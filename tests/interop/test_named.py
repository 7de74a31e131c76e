"""Weights by name: a hub's cache written by hand, and a torchvision that is not the true one."""

import hashlib
import json
import os
import sys
import types

import numpy as np
import pytest
import safetensors.numpy
from ml_collections import ConfigDict

from geoseg_jax.interop import WeightsError, described, named, read_weights
from geoseg_jax.training import ancestors, transfer
from tests.interop import fabricate, resnets

COMMIT, OLDER = "b" * 40, "a" * 40
NAME = "hf:some/encoder.in1k"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache in an empty folder, offline; returns what adds a file to it."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra hf")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 sets it
    root = tmp_path / "hub" / "models--some--encoder.in1k"

    def add(name, content, commit=COMMIT):
        digest = hashlib.sha256(content).hexdigest()
        for folder in ("blobs", "refs", f"snapshots/{commit}"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "blobs" / digest).write_bytes(content)
        os.symlink(f"../../blobs/{digest}", root / "snapshots" / commit / name)
        (root / "refs" / "main").write_text(COMMIT)
        return digest

    return add


def packed(tensors):
    """A .safetensors of them."""
    return safetensors.numpy.save({n: np.array(a, order="C") for n, a in tensors.items()})


@pytest.fixture
def tensors():
    return resnets.torchvision("tiny")


def test_layout_is_the_librarys(hub, tensors):
    """Its own functions find what was written by hand."""
    from huggingface_hub import hf_hub_download, scan_cache_dir

    hub("model.safetensors", packed(tensors))
    path = hf_hub_download("some/encoder.in1k", "model.safetensors")
    assert named.fetch(NAME).path.samefile(path)
    (repository,) = scan_cache_dir(path.partition("/models--")[0]).repos
    assert repository.repo_id == "some/encoder.in1k"


def test_safetensors_of_main_with_their_revision(hub, tensors, tmp_path):
    sha256 = hub("model.safetensors", packed(tensors))
    hub("pytorch_model.bin", b"not looked at")
    found = read_weights(NAME)
    resnets.assert_is_encoder(found.variables, "tiny")
    assert found.sha256 == sha256
    assert found.source == {"name": NAME, "sha256": sha256, "revision": COMMIT}
    config = ConfigDict({"init_from": NAME})
    record = transfer.read(NAME, config).record
    assert record["converted_from"]["revision"] == COMMIT
    assert ancestors.read_weights_of(NAME).source == found.source


def test_bin_where_there_is_nothing_else_and_a_revision(hub, tensors, tmp_path):
    fabricate.FORMATS["zip"](tmp_path / "x.pth", fabricate.state_dict(tensors))
    hub("pytorch_model.bin", (tmp_path / "x.pth").read_bytes(), OLDER)
    hub("model.safetensors", b"", COMMIT)
    found = read_weights(f"{NAME}@{OLDER}")
    resnets.assert_is_encoder(found.variables, "tiny")
    assert found.source["revision"] == OLDER
    with pytest.raises(WeightsError, match=r"model\.safetensors is empty"):
        read_weights(f"{NAME}@main")


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ([0.5] * 3, [0.5] * 3, "half"),
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], "imagenet"),
        ([0.1, 0.2, 0.3], [0.1] * 3, "known are imagenet"),
        ([10**400, 0.2, 0.3], [0.1] * 3, "no three numbers"),
    ],
)
def test_normalisation_is_timms(hub, tensors, mean, std, expected):
    hub("model.safetensors", packed(tensors))
    hub("config.json", json.dumps({"pretrained_cfg": {"mean": mean, "std": std}}).encode())
    if " " in expected:
        with pytest.raises(WeightsError, match=expected):
            read_weights(NAME)
    else:
        assert read_weights(NAME).normalisation == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:encoder", "hf:encoder: write hf:OWNER/NAME"),
        ("hf:some/other", "hf:some/other is not in the cache .*offline mode.*: fetch it once"),
        (f"{NAME}@v2", "is not in the cache"),
        (f"{NAME}/model.safetensor", "has no such file; did you mean 'model.safetensors'"),
        (f"{NAME}/{'../' * 8}etc/passwd", "write hf:OWNER/NAME"),
        (f"{NAME}@../../../outside", "write hf:OWNER/NAME"),
        ("hf:../encoder", "write hf:OWNER/NAME"),
    ],
)
def test_one_line_for_a_wrong_name(hub, name, message):
    hub("model.safetensors", b"x")
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(name)
    assert "\n" not in str(caught.value)


def test_several_files_ask_for_one(hub):
    for name in ("one.safetensors", "two.safetensors"):
        hub(name, b"x")
    with pytest.raises(WeightsError, match=f"several files .*: write {NAME}/one.safetensors"):
        read_weights(NAME)


def test_a_hub_that_answers_is_asked_for_its_commit(hub, tensors, monkeypatch, tmp_path):
    """What is listed is fetched at one commit: configs beside the weights, nothing else."""
    import huggingface_hub as library

    files = ["README.md", "config.json", "model.safetensors", "pytorch_model.bin"]
    asked = []

    def model_info(self, repository, revision=None, timeout=None):
        assert timeout
        siblings = [types.SimpleNamespace(rfilename=name) for name in files]
        return types.SimpleNamespace(sha=COMMIT, siblings=siblings)

    def download(repository, name, revision=None):
        asked.append((repository, name, revision))
        return str(tmp_path / name)

    monkeypatch.setattr(library.HfApi, "model_info", model_info)
    monkeypatch.setattr(library, "hf_hub_download", download)
    assert named.fetch(NAME) == (tmp_path / "model.safetensors", COMMIT, "")
    assert asked == [("some/encoder.in1k", n, COMMIT) for n in ("config.json", "model.safetensors")]
    assert "config.json" in described.FILES


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        WeightsError, match=r"needs huggingface_hub.*pip install 'geoseg_jax\[hf\]'"
    ):
        read_weights(NAME)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(WeightsError, match="needs torchvision, which is not installed"):
        read_weights("torchvision:resnet18")


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    """Stands in for torchvision and torch.hub; returns the cache and what is to be downloaded."""
    wanted = {}

    class Entry(types.SimpleNamespace):
        pass

    class Versions(dict):
        DEFAULT = Entry(name="V2", url="https://x/tiny-00000000.pth")

        def __iter__(self):
            return iter(self.values())

    versions = Versions(V1=Entry(name="V1", url="https://x/plain.pth"), V2=Versions.DEFAULT)
    models = types.ModuleType("torchvision.models")
    models.list_models = lambda: ["tiny"]
    models.get_model_weights = lambda name: versions
    hub = types.ModuleType("torch.hub")
    hub.get_dir = lambda: str(tmp_path / "torch")

    def download(url, path, start, progress):
        if url not in wanted:
            raise OSError("no network")
        with open(path, "wb") as file:
            file.write(wanted[url])

    hub.download_url_to_file = download
    for name, module in {"torchvision": models, "torchvision.models": models}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "torch", hub)
    monkeypatch.setitem(sys.modules, "torch.hub", hub)
    return tmp_path / "torch" / "checkpoints", versions, wanted


def test_torchvision_by_its_registry(torchvision, tensors, tmp_path):
    cache, versions, wanted = torchvision
    fabricate.FORMATS["zip"](tmp_path / "x.pth", fabricate.state_dict(tensors))
    content = (tmp_path / "x.pth").read_bytes()
    start = hashlib.sha256(content).hexdigest()[:8]
    versions["V2"].url = url = f"https://x/tiny-{start}.pth"
    wanted[url] = content
    found = read_weights("torchvision:tiny")
    resnets.assert_is_encoder(found.variables, "tiny")
    assert found.source["revision"] == "V2"
    wanted.clear()
    assert read_weights("torchvision:tiny").sha256 == found.sha256  # from the cache
    (cache / f"tiny-{start}.pth").write_bytes(content + b"x")
    with pytest.raises(WeightsError, match="damaged"):
        read_weights("torchvision:tiny")
    for name, message in (
        ("torchvision:tiny@V1", "can't be fetched .*no network.*: put plain.pth there"),
        ("torchvision:tiny@V3", "weights of it are V1, V2"),
        ("torchvision:tiniy", "did you mean 'tiny'"),
        ("torchvision:", "write torchvision:MODEL"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_weights(name)
