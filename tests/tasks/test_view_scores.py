"""Scores without true depth: a scene whose depth is known explains its views, others don't."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.tasks import view_scores


@pytest.fixture(scope="module")
def room():
    """mask, inverse depth -> sums for two records of the embedded room, whose truth is known."""
    source = SyntheticSource("room", 2, 3, 48, 64, frames=(-4, 4), stereo=False)
    records = [source[i] for i in range(2)]
    batch = {key: np.stack([r[key] for r in records]) for key in records[0]}
    depth = np.where(batch["depth"] > 0, batch["depth"], 50.0).astype(np.float32)
    poses = np.stack([source.poses(i) for i in range(2)]).astype(np.float32)
    views = (batch[key].astype(np.float32) / 255 for key in ("image", "sources"))
    arguments = poses, *views, batch["intrinsics"]
    judge = jax.jit(lambda mask, *rest: view_scores.judge(*rest, mask, 0.85))

    def sums(*mask, inverse=1 / depth):
        return {k: float(v) for k, v in judge(jnp.asarray(mask), inverse, *arguments).items()}

    return sums


def test_true_depth_explains_the_views_better_than_none(room):
    found = view_scores.summarise(room(True, False))
    assert found["eval_images"] == 1
    assert found["photometric"] < 0.5 * found["photometric_identity"]
    assert found["photometric"] < 0.9 * found["photometric_flat"]


def test_a_depth_that_is_no_number_has_no_score(room):
    inverse = np.full((2, 48, 64), 0.1, np.float32)
    inverse[1, 5, 7] = np.nan
    assert np.isfinite(room(True, False, inverse=inverse)["photometric"])
    assert np.isnan(room(True, True, inverse=inverse)["photometric"])


def test_padding_does_not_count_and_sums_add_up(room):
    first, second, both = room(True, False), room(False, True), room(True, True)
    assert first["photometric"] != second["photometric"]
    assert both == pytest.approx({name: first[name] + second[name] for name in both}, rel=1e-5)


def test_cameras_are_told_apart_by_video():
    numbers = {"focal_x": jnp.asarray([0.5, 0.7, 0.9])}
    batches = [([0, 0, 2], [True, True, True]), ([2, 1], [True, False])]
    sums = [
        view_scores.camera_sums(numbers, jnp.asarray(video), jnp.asarray(mask))
        for video, mask in batches
    ]
    total = {name: np.asarray(sums[0][name] + sums[1][name]) for name in sums[0]}
    found = view_scores.summarise_cameras(total, ("a", "b", "c"))
    assert found == pytest.approx({"focal_x": 0.7, "focal_x/a": 0.5, "focal_x/c": 0.9})
    # One camera has no need of its name, and its sums come back from evaluation as arrays too.
    alone = {name: value[:1] for name, value in total.items()}
    assert view_scores.summarise_cameras(alone, ("a",)) == pytest.approx({"focal_x": 0.5})
    assert view_scores.summarise_cameras({"images": 3.0}, ("a",)) == {}
