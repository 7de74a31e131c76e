"""Encoders looked into and panels kept, on a few small rendered streets."""

import base64
import dataclasses
import io

import jax
import numpy as np
import pytest
from PIL import Image

from geoseg_jax.config import settings
from geoseg_jax.data.factory import make_data
from geoseg_jax.interop import Weights, write_weights
from geoseg_jax.models.encoders import make_encoder
from geoseg_jax.study import inside, panels
from geoseg_jax.study.plan import make_plan
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import TrainState
from tests.models.weights import randomise
from tests.study.tiny_study import FACTORS, study


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An encoder from elsewhere, as interop would have converted it."""
    shapes = jax.eval_shape(
        lambda k: make_encoder("tiny").init(k, np.zeros((1, 32, 32, 3), np.float32), False),
        jax.random.key(0),
    )
    host = jax.tree.map(np.asarray, randomise(shapes))
    parts = {name: {"encoder": tree} for name, tree in host.items()}
    folder = tmp_path_factory.mktemp("weights")
    write_weights(Weights(parts, "torchvision", "tiny", "0" * 64), folder, "tiny.pth")
    return str(folder)


@pytest.fixture(scope="module")
def made(weights, tmp_path_factory):
    """A study of random weights and twice the same other ones; the config and the plan."""
    folder = tmp_path_factory.mktemp("study")
    factors = FACTORS | {"labels": (4,), "training": ("fine_tuned",), "resolution": ("64x32",)}
    target = study()["target"]
    target["set"]["data"] = {"train_size": 4, "eval_size": 3, "cache_dir": str(folder)}
    arms = ({"name": "random"}, {"name": "one", "weights": weights, "label": "One"})
    arms = (*arms, {"name": "other", "weights": weights})
    given = study(arms=arms, factors=factors, target=target, panels=2)
    return given, make_plan(given, folder)


def test_places_are_from_all_columns():
    """Of [n, 24, 48] maps every 12th place would be of the same four columns."""
    columns = np.broadcast_to(np.arange(48.0), (21, 24, 48))[..., None]
    taken = inside._places(columns)
    assert len(taken) == inside.PLACES
    assert len(np.unique(taken)) == 48
    np.testing.assert_array_equal(taken, inside._places(columns))


def test_the_same_encoder_is_alike_and_another_is_not(made):
    found = inside.look(*made)
    assert [c["stage"] for c in found["cka"]] == [f"stride {s}" for s in (2, 4, 8, 16, 32)]
    for cka in found["cka"]:
        matrix = np.array(cka["matrix"])
        assert cka["arms"] == ["random", "one", "other"]
        assert matrix[1, 2] == pytest.approx(1, abs=1e-5)
        assert matrix[0, 1] < 0.98
    captions = [picture["caption"] for picture in found["pca"][0]["pictures"]]
    assert captions == ["input", "random", "One", "other"]
    pixels = [_pixels(picture["src"]) for picture in found["pca"][1]["pictures"]]
    assert {p.shape for p in pixels} == {(32, 64, 3)}
    np.testing.assert_array_equal(pixels[2], pixels[3])
    assert np.abs(pixels[1].astype(int) - pixels[2]).mean() > 5


def _pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_an_arm_without_a_checkpoint_is_left_out(made):
    given, plan = made
    trained = [c for c in plan.cells if c.factors["arm"] != "random"]
    gone = [c._replace(pretraining="x").changed({"init_from": "/nowhere"}) for c in trained]
    cells = [c for c in plan.cells if c not in trained] + gone
    assert inside.look(given, dataclasses.replace(plan, cells=cells)) == {}


def test_panels_are_the_pictures_of_the_task(made):
    cell = made[1].cells[0]
    data = make_data(cell.config)
    task = make_task(cell.config, data)
    image = data.eval[0]["image"]
    variables = randomise(jax.eval_shape(task.init, jax.random.key(0), {"image": image[None]}))
    state = TrainState(np.asarray(3), **variables, opt_state={"count": np.zeros(())})
    manager = checkpoints.Checkpoints(cell.workdir / "checkpoints")
    manager.save(3, state, {"config": settings.plain(cell.config), "data": ""})
    manager.close()
    panels.keep(cell, 2)
    shown = np.asarray(Image.open(panels.path(cell.workdir, 0, "input")))
    np.testing.assert_array_equal(shown, image)
    for number in range(2):
        for name in ("label", "prediction"):
            assert panels.path(cell.workdir, number, name).is_file()
    assert not panels.path(cell.workdir, 2, "input").exists()
    classes, *found = panels.collect(*made)
    assert classes["legend"]
    assert [p["caption"] for p in classes["pictures"]] == ["legend"]
    assert len(found) == 2
    assert [p["caption"] for p in found[0]["pictures"]][:2] == ["input", "label"]
