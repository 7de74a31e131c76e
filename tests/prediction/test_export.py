"""Whole networks as programs: of a run, by the command, computed by jax.export and onnxruntime."""

import contextlib
import io
import json
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
import safetensors

import geoseg_jax
from geoseg_jax import interop, predict, weights
from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.prediction import export, files, run, torch_export
from geoseg_jax.training import checkpoints
from tests import test_predict, test_predict_depth
from tests.interop import resnets
from tests.interop.resnets import torchvision


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs by what their networks give."""
    folder = tmp_path_factory.mktemp("export")
    segmentation = test_predict.make_run(folder / "segmentation")
    depth, *_ = test_predict_depth.make_run(folder / "depth")
    return {"segmentation": segmentation, "depth": depth}


@pytest.fixture(scope="module")
def pictures(runs):
    """Two pictures of each network's own size, so that nothing is resized beforehand."""
    made = {}
    for name, workdir in runs.items():
        data = run.read_config(workdir).data
        size = (2, data.height, data.width, 3)
        made[name] = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    return made


def call(*words):
    assert weights.main([str(word) for word in words]) == 0


def load_stablehlo(path):
    return jax.export.deserialize(bytearray(path.read_bytes()))


def run_onnx(path, images):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    metadata = session.get_modelmeta().custom_metadata_map
    found = dict(zip(names, session.run(names, {"images": images}), strict=True))
    return found, json.loads(metadata["geoseg_jax"])


def assert_close(found, ours):
    """Random weights give numbers of hundreds: an error counts against the largest of them."""
    np.testing.assert_allclose(found, ours, atol=1e-5 * np.abs(ours).max())


@pytest.fixture(params=["stablehlo", "onnx"])
def exported(request, tmp_path, capsys):
    """A function that exports a source and returns (outputs, metadata) on pictures."""

    def export(source, images, *words):
        path = tmp_path / f"x.{request.param}"
        if request.param == "onnx":
            pytest.importorskip("onnx", reason="onnx is not installed")
        call(source, f"--to={request.param}", "--out", path, *words)
        assert f"{images.shape[1]}x{images.shape[2]} pictures" in capsys.readouterr().out
        if request.param == "onnx":
            return run_onnx(path, images)
        program = load_stablehlo(path)
        assert set(program.platforms) >= {"cpu", "cuda", "tpu"}
        return program.call(images), json.loads(path.with_suffix(".json").read_text())

    return export


def test_a_segmentation_network(runs, pictures, exported):
    images = pictures["segmentation"]
    found, told = exported(runs["segmentation"], images)
    segmenter = geoseg_jax.load_segmenter(runs["segmentation"])
    ours = np.stack([segmenter.predict(image) for image in images])
    assert len(np.unique(ours)) > 2
    # Where two classes are level, rounding decides.
    best = np.sort(found["scores"], axis=-1)
    clear = best[..., -1] - best[..., -2] > 1e-4 * np.abs(best).max()
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(np.asarray(found["label"])[clear], ours[clear])
    variables = segmenter.variables
    logits = segmenter.task.network(variables, {"image": images})
    scores = jax.image.resize(logits, (*images.shape[:3], 11), "linear")
    assert_close(found["scores"], scores)
    assert (told["network"], told["encoder"], told["decoder"]) == ("segmentation", "tiny", "linear")
    assert told["classes"] == list(segmenter.table.classes)
    assert told["palette"] == [list(c) for c in segmenter.table.palette]
    assert told["input"]["shape"] == ["N", *images.shape[1:]]
    assert told["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert told["source"] == "run/checkpoints/5"
    assert told["outputs"]["label"]["shape"] == ["N", *images.shape[1:3]]


def test_a_depth_network(runs, pictures, exported):
    images = pictures["depth"]
    found, told = exported(runs["depth"], images)
    estimator = geoseg_jax.load_depth(runs["depth"])
    ours = np.stack([estimator.predict(image) for image in images])
    np.testing.assert_allclose(found["depth"], ours, rtol=1e-4)
    np.testing.assert_allclose(found["inverse_depth"], 1 / ours, rtol=1e-4)
    assert told["unit"] == "metres, up to one common factor"
    one, _ = exported(runs["depth"], images[:1])  # a batch of any size
    np.testing.assert_allclose(one["depth"], ours[:1], rtol=1e-4)


def test_encoders_of_runs_and_files(runs, pictures, exported, tmp_path):
    from tests.interop import fabricate

    images = pictures["depth"]
    encoder = geoseg_jax.load_encoder(runs["depth"])
    found, told = exported(runs["depth"], images, "--part=encoder")
    assert told["network"] == "encoder"
    for stride, maps in encoder(images).items():
        assert_close(found[f"stride_{stride}"], maps)
    fabricate.write_zip(tmp_path / "a.pth", fabricate.state_dict(torchvision("tiny")))
    found, told = exported(tmp_path / "a.pth", images[:1], "--height=32", "--width=64")
    encoder = geoseg_jax.load_encoder(tmp_path / "a.pth")
    assert_close(found["stride_8"], encoder(images[:1])[8])
    assert told["sha256"] == encoder.origin["sha256"]


def test_all_of_a_vits_features_are_told_to_be_at_one_stride(tmp_path):
    variables = {k: {"encoder": v} for k, v in resnets.encoder_variables("vit_tiny").items()}
    interop.write_timm(variables, tmp_path / "vit.safetensors", "vit_tiny")
    size = ("--height=32", "--width=64")
    call(tmp_path / "vit.safetensors", "--to=stablehlo", f"--out={tmp_path}/x.stablehlo", *size)
    outputs = json.loads((tmp_path / "x.json").read_text())["outputs"]
    assert {tuple(told["shape"][1:3]) for told in outputs.values()} == {(2, 4)}
    assert all("features at stride 16" in told["meaning"] for told in outputs.values())


def test_another_size_and_step(runs, tmp_path):
    workdir, path = runs["segmentation"], tmp_path / "x.stablehlo"
    call(workdir, "--to=stablehlo", "--out", path, "--height=48", "--width=64", "--step=best")
    told = json.loads(path.with_suffix(".json").read_text())
    assert (told["step"], told["input"]["shape"]) == (3, ["N", 48, 64, 3])
    images = np.zeros((1, 48, 64, 3), np.uint8)
    assert load_stablehlo(path).call(images)["label"].shape == (1, 48, 64)


def edited(folder, workdir, **changes):
    """The workdir with other settings, `__` for dots."""
    config = run.read_config(workdir)
    with config.unlocked():
        config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    content = settings.plain(config)
    json_files.write_json(folder / "config.json", content)
    (folder / "checkpoints").symlink_to(workdir / "checkpoints")
    return folder


def test_how_a_run_is_judged_goes_along(runs, pictures, tmp_path):
    """The mirror image is part of the program; a window is its size."""
    images, path = pictures["segmentation"], tmp_path / "x.stablehlo"
    flips = {"task__eval__flip": True, "task__eval__window": (), "data__height": 32}
    call(edited(tmp_path, runs["segmentation"], **flips), "--to=stablehlo", "--out", path)
    found = load_stablehlo(path).call(images)
    np.testing.assert_allclose(found["scores"].sum(-1), 1, atol=1e-5)
    mirrored = load_stablehlo(path).call(images[:, :, ::-1])["scores"][:, :, ::-1]
    np.testing.assert_allclose(mirrored, found["scores"], atol=1e-5)
    (tmp_path / "b").mkdir()
    slides = {"task__eval__window": (32, 32), "data__height": 64, "data__width": 96}
    call(edited(tmp_path / "b", runs["segmentation"], **slides), "--to=stablehlo", "--out", path)
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["input"]["shape"] == ["N", 32, 32, 3]
    assert "slide" in told["window"]
    call(tmp_path / "b", "--to=stablehlo", "--out", path, "--height=64", "--width=96")
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["input"]["shape"] == ["N", 64, 96, 3]  # as asked for


BAD = {
    "ending": (["{segmentation}", "--to=onnx", "--out=x.pb"], "a file that ends in .onnx"),
    "no run": (["{out}/none", "--to=onnx", "--out=x.onnx"], "is not there"),
    "no network": (["{out}", "--to=onnx", "--out=x.onnx", "--part=network"], "no run's workdir"),
    "no step": (["{depth}", "--to=onnx", "--out=x.onnx", "--step=9"], "choose latest"),
    "no such": (
        ["{segmentation}", "--to=torch", "--out=x.safetensors"],
        "this linear on a tiny",
    ),
    "normalised": (["{depth}", "--to=torch", "--out=x.safetensors"], "--to=onnx writes every"),
    "no effect": (["{depth}", "--to=torch", "--out=x.safetensors", "--width=9"], "has no effect"),
    "an encoder's": (
        ["{depth}", "--to=torch", "--out=x.safetensors", "--normalisation=half"],
        "--normalisation is about an encoder",
    ),
    "checked": (
        ["{out}", "--to=onnx", "--out=x.onnx", "--encoder=tiny"],
        "--encoder has no effect",
    ),
    "no pixels": (["{depth}", "--to=onnx", "--out=x.onnx", "--width=-3"], "pictures have pixels"),
    "size": (["{depth}", "--to=onnx", "--out=x.onnx", "--width=50"], "multiples of 32"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(runs, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    words, message = BAD[name]
    places = {"out": tmp_path, **runs}
    assert weights.main([word.format(**places) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_which_run_pytorch_has_a_network_for(runs, tmp_path, monkeypatch):
    def name_of(name, **changes):
        (tmp_path / name).mkdir()
        return torch_export.torch_name(
            run.read_config(edited(tmp_path / name, runs[name.split()[0]], **changes))
        )

    deeplab = {"model__decoder": "deeplabv3", "model__encoder": "resnet50"}
    assert name_of("segmentation a", **deeplab) == "deeplabv3"
    for encoder in ("tiny", "resnet18_half"):
        theirs = {"model__normalisation": "monodepth2", "model__encoder": encoder}
        with pytest.raises(settings.ConfigError, match=f"torchvision's ResNets, and {encoder} is"):
            name_of(f"depth {encoder}", **theirs)
    theirs = {"model__normalisation": "monodepth2", "model__encoder": "resnet18"}
    assert name_of("depth b", **theirs) == "monodepth2"
    monkeypatch.setattr(torch_export, "IN_PYTORCH", ("tiny",))
    assert name_of("depth a", model__normalisation="monodepth2") == "monodepth2"
    path = tmp_path / "x.safetensors"
    call(tmp_path / "depth a", "--to=torch", "--out", path)
    with safetensors.safe_open(path, "np") as file:
        told = json.loads(file.metadata()["geoseg_jax"])
    assert (told["min_depth"], told["unit"]) == (0.1, "metres, up to one common factor")
    assert told["preprocessing"]["where"].startswith("feed floats")
    found = interop.read_weights(path)
    ours = checkpoints.read_variables(runs["depth"] / "checkpoints" / "1")["params"]
    assert found.normalisation == "monodepth2"
    np.testing.assert_array_equal(
        found.variables["params"]["head"]["dispconv_0"]["kernel"],
        ours["head"]["dispconv_0"]["kernel"],
    )
    with pytest.raises(settings.ConfigError, match="have bottlenecks, and resnet18 has none"):
        name_of("segmentation b", **(deeplab | {"model__encoder": "resnet18"}))
    with pytest.raises(settings.ConfigError, match="makes it another one"):
        name_of("segmentation c", **deeplab, model__deeplab={"convolution": False})


def test_the_package_onnx_is_asked_for(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert weights.main([str(runs["depth"]), "--to=onnx", f"--out={tmp_path}/x.onnx"]) == 1
    assert "pip install onnx" in capsys.readouterr().err


def test_the_page_runs_as_it_is_written(runs, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    text = (pathlib.Path(export.__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    geoseg interop runs/segment (.*)$", text, re.M)
    assert len(commands) == 2
    for command in commands:
        call(runs["segmentation"], *command.split())
    shutil.copy(runs["segmentation"].parent / "data" / "val" / "0016E5_000000.png", "street.png")
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    for block in blocks:
        exec(block, names)
    segmenter = geoseg_jax.load_segmenter(runs["segmentation"])
    assert len(blocks) == 2
    assert (names["labels"] == segmenter.predict(names["small"])).mean() > 0.99
    assert names["colours"].shape == names["small"].shape
    assert (names["scores"][0].argmax(-1) == names["labels"]).mean() > 0.99
    of_colours = re.search(r"^\| `colour/` .*$", text, re.M)[0]
    assert files.LabelFiles(segmenter.table).legend is not None
    assert files.DepthFiles(True).legend is files.FlowFiles().legend is None
    assert "of labels `legend.png`" in of_colours
    assert told_by_help(predict) >= set(
        re.findall(r"--[a-z_]+", text.partition("## Predictions")[2])
    )


def told_by_help(command) -> set[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        command.main(["--help"])
    return set(re.findall(r"--[a-z_]+", out.getvalue()))
