"""The library: trained networks in a few lines of Python, and the page that shows it."""

import pathlib
import re
import shutil

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geoseg_jax
from geoseg_jax import ops, predict
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data import pictures
from geoseg_jax.data.source import DataError
from geoseg_jax.interop import WeightsError
from geoseg_jax.models import make_encoder
from geoseg_jax.training.checkpoints import CheckpointError
from tests import test_predict, test_predict_depth

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "library.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs of segmentation and of depth."""
    folder = tmp_path_factory.mktemp("library")
    segmentation = test_predict.make_run(folder / "segmentation")
    depth, *_ = test_predict_depth.make_run(folder / "depth")
    return segmentation, depth


@pytest.fixture(scope="module")
def encoder(runs):
    return geoseg_jax.load_encoder(runs[1])


def test_what_is_public_is_there():
    for module in (geoseg_jax, ops):
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", geoseg_jax.__version__)
    assert set(geoseg_jax.__all__) <= set(dir(geoseg_jax))
    with pytest.raises(AttributeError, match="load_model"):
        _ = geoseg_jax.load_model
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in (*geoseg_jax.__all__, *ops.__all__))


def test_loading_warns_of_nothing(runs, caplog):
    geoseg_jax.load_encoder(runs[1])
    assert caplog.text == ""


def test_features_are_those_of_the_network(encoder):
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 64, 3), np.uint8)
    features = encoder(images)
    net = make_encoder(encoder.name, normalisation=encoder.normalisation)
    expected = net.apply(encoder.variables, jnp.asarray(images / 255, jnp.float32), train=False)
    assert sorted(features) == [2, 4, 8, 16, 32]
    for stride, maps in features.items():
        assert maps.shape[:3] == (2, -(-40 // stride), 64 // stride)
        np.testing.assert_allclose(maps, expected[stride], rtol=1e-4, atol=1e-4)
    one = encoder(jnp.asarray(images[0] / 255, jnp.float32))
    np.testing.assert_allclose(one[8], features[8][0], rtol=1e-3, atol=1e-3)
    assert encoder.origin["task"] == "selfsup_depth"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8)), "give RGB"),
        (np.zeros((8, 8, 4)), "give RGB"),
        (np.zeros((8, 8, 3), np.int64), "give uint8"),
        (np.full((8, 8, 3), 255.0), "range from 255 to 255"),
        (np.full((8, 8, 3), np.nan), "range from nan"),
        (np.where(np.indices((64, 96, 3)).sum(0) == 7, np.nan, 0.5), "range from nan"),
    ],
)
def test_pictures_that_are_none(encoder, images, message):
    with pytest.raises(ValueError, match=message):
        encoder(images)


def test_a_segmenter_gives_what_predict_writes(runs, tmp_path):
    workdir, _ = runs
    predict.predict(workdir, tmp_path, say=lambda text: None)
    segmenter = geoseg_jax.load_segmenter(workdir)
    for path in sorted((workdir.parent / "data" / "val").iterdir())[:2]:
        written = cv2.imread(str(tmp_path / "labels" / path.name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(segmenter.predict(path), written)
        picture = cv2.imread(str(path))[..., ::-1]
        np.testing.assert_array_equal(segmenter.predict(picture), written)
        np.testing.assert_array_equal(segmenter.predict(picture / np.float32(255)), written)
    assert segmenter.table.classes[0] == "sky"
    best = geoseg_jax.load_segmenter(workdir, step="best")
    assert not np.array_equal(best.predict(picture), written)


def test_depth_is_what_predict_writes(runs, tmp_path):
    _, workdir = runs
    images = workdir.parent / "videos" / "a"
    predict.predict(workdir, tmp_path, images=images, say=lambda text: None)
    estimator = geoseg_jax.load_depth(workdir)
    path = min(images.iterdir())
    depth = estimator.predict(path)
    written = pictures.read_depth_picture(tmp_path / "depth" / path.name)
    np.testing.assert_allclose(depth, written, atol=0.5 / 256, rtol=1e-4)
    assert not estimator.metric  # a moving camera knows no scale


def test_a_step_is_a_number_or_a_word(runs):
    segmentation, _ = runs
    three, best = (geoseg_jax.load_segmenter(segmentation, step=step) for step in (3, "best"))
    jax.tree.map(np.testing.assert_array_equal, three.variables, best.variables)
    with pytest.raises(CheckpointError, match=r"step=4: .* choose latest, 3, 5"):
        geoseg_jax.load_segmenter(segmentation, step=4)


def test_networks_are_shown_without_their_weights(runs, encoder):
    segmentation, depth = runs
    for network in (encoder, geoseg_jax.load_segmenter(segmentation), geoseg_jax.load_depth(depth)):
        assert "array" not in repr(network).lower()
        assert len(repr(network)) < 20_000


def test_a_run_has_a_normalisation_of_its_own(runs, encoder):
    same = geoseg_jax.load_encoder(runs[1], normalisation=encoder.normalisation)
    assert same.normalisation == encoder.normalisation
    for other in ("monodepth2", "imgnet"):
        with pytest.raises(WeightsError, match=f"a run, .* normalisation='{other}' has no effect"):
            geoseg_jax.load_encoder(runs[1], normalisation=other)


def test_errors_are_of_the_kinds_that_the_page_says(runs):
    kinds = {e.__name__: e for e in (ConfigError, CheckpointError, WeightsError, DataError)}
    text = PAGE.read_text(encoding="utf-8")
    said = re.search(r"Every error is one line: ([^.]*?) all of which are `ValueError`s", text)[1]
    named = re.findall(r"`(\w+)`", said)
    assert set(named) == {name for name, kind in kinds.items() if issubclass(kind, ValueError)}
    with pytest.raises(DataError, match=r"nowhere\.png"):
        geoseg_jax.load_segmenter(runs[0]).predict("nowhere.png")


def test_a_run_of_another_task_is_refused(runs):
    segmentation, depth = runs
    with pytest.raises(ConfigError, match="is a run of selfsup_depth, not of segmentation"):
        geoseg_jax.load_segmenter(depth)
    with pytest.raises(ConfigError, match="is a run of segmentation, not of depth"):
        geoseg_jax.load_depth(segmentation)


def test_the_page_runs(runs, tmp_path, monkeypatch):
    segmentation, depth = runs
    for name, workdir in (("segment", segmentation), ("quickstart", depth)):
        shutil.copytree(workdir, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("street.png", np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8))
    for folder in ("P/labels", "labels"):  # of sky alone
        pathlib.Path(folder).mkdir(parents=True)
        cv2.imwrite(f"{folder}/street.png", np.zeros((40, 64), np.uint8))
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["features"][32].shape[-1] == 64
    assert names["labels"].shape == names["depth"].shape == (40, 64)
    assert names["scored"].numbers["miou"] == 1
    assert np.isfinite(names["slope"]).all()
    np.testing.assert_allclose(names["sharded"], names["one_by_one"], atol=1e-6)
