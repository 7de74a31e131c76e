"""Scores on resampled pictures: as if the very pictures had judged; recordings stay together."""

import math

import numpy as np
import pytest

from geoseg_jax.analysis import statistics
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.scoring import scores
from geoseg_jax.scoring.resampling import METRICS, averages, draw_times, rescored
from geoseg_jax.study import resampling
from geoseg_jax.training import judged

TABLE = label_table("synthetic_street")
CLASSES = len(TABLE.classes)


def keep(folder, matrices, recordings=None, first=0):
    """A run's file with these matrices, of pictures from that number on."""
    names = [f"picture {i}" for i in range(first, first + len(matrices))]
    folder.mkdir()
    with open(folder / judged.FILE, "wb") as file:
        np.savez_compressed(
            file,
            pictures=np.array(names, str),
            recordings=np.array(recordings or [""] * len(names), str),
            matrices=matrices,
            classes=np.array(scores.judged_classes(TABLE)),
        )
    return folder


def matrices(seed, count=6):
    """Some classes are in some pictures alone."""
    generator = np.random.default_rng(seed)
    made = generator.integers(0, 50, (count, CLASSES, CLASSES))
    return made * (generator.random((count, CLASSES, 1)) < 0.7)


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_are_those_of_scores(metric):
    """With a class that is in neither truth nor prediction, and pictures of nothing."""
    made = matrices(0)
    made[:, 2], made[:, :, 2] = 0, 0
    made[1] = 0
    found = averages(made, np.array(scores.judged_classes(TABLE)))[metric]
    expected = [scores.scores(matrix, TABLE)[metric] for matrix in made]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert math.isnan(found[1]) or metric == "miou_all_classes"


def test_draws_are_of_whole_pictures_and_the_same_for_all(tmp_path):
    one, two = matrices(1), matrices(2)
    folders = {"a": keep(tmp_path / "a", one), "b": keep(tmp_path / "b", two)}
    found = resampling.resample(folders | {"gone": tmp_path / "gone"}, "miou", draws=5, seed=3)
    assert (set(found.scores), found.count, found.what) == ({"a", "b"}, 6, "pictures")
    times = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), 5)
    for name, made in (("a", one), ("b", two)):
        for draw, chosen in enumerate(times):
            whole = made[np.repeat(np.arange(6), chosen)].sum(0)
            assert found.scores[name][draw] == pytest.approx(scores.scores(whole, TABLE)["miou"])


def test_frames_of_a_recording_are_drawn_together(tmp_path):
    made = matrices(4)
    folders = {"a": keep(tmp_path / "a", made, ["x", "x", "x", "y", "y", ""])}
    found = resampling.resample(folders, "pixel_accuracy", draws=400)
    assert (found.count, found.what) == (3, "recordings (pictures where unknown)")
    parts = [made[:3].sum(0), made[3:5].sum(0), made[5]]
    possible = {
        round(scores.scores(a * parts[0] + b * parts[1] + c * parts[2], TABLE)["pixel_accuracy"], 9)
        for a in range(4)
        for b in range(4 - a)
        for c in [3 - a - b]
    }
    assert {round(float(v), 9) for v in found.scores["a"]} == possible


def test_recordings_that_are_all_known(tmp_path):
    folders = {"a": keep(tmp_path / "a", matrices(4), ["x", "x", "y", "y", "z", "z"])}
    found = resampling.resample(folders, "miou", draws=2)
    assert (found.count, found.what) == (3, "recordings")
    (own, *_) = judged.read(tmp_path / "a").pictures
    folders = {"b": keep(tmp_path / "b", matrices(4), [own, "y", "y", "z", "z", "z"])}
    assert resampling.resample(folders, "miou", draws=2).what == "recordings"


def test_what_can_not_be_resampled(tmp_path):
    folders = {"a": keep(tmp_path / "a", matrices(4))}
    assert resampling.resample(folders, "paper_miou") is None
    assert resampling.resample({"a": tmp_path / "nothing"}, "miou") is None


def test_replicates_that_are_judged_on_folds_are_pooled(tmp_path):
    """As if one run had judged all pictures; those judged on the same ones stay alone."""
    made = matrices(5)
    parts = {"a0": (made[:4], 0), "a1": (made[4:], 4), "b0": (made, 0), "b1": (made, 0)}
    folders = {n: keep(tmp_path / n, own, first=first) for n, (own, first) in parts.items()}
    found = resampling.resample(folders, "miou", {n: n[0] for n in folders}, draws=50)
    assert (found.count, found.pictures, found.pooled) == (6, 6, True)
    whole = resampling.resample({"b0": folders["b0"]}, "miou", draws=50)
    assert not whole.pooled
    for name in folders:
        np.testing.assert_allclose(found.scores[name], whole.scores["b0"], rtol=1e-12)
    alone = resampling.resample(folders, "miou", draws=50)
    assert not np.allclose(alone.scores["a0"], found.scores["a0"], equal_nan=True)


def test_who_lacks_a_counterpart_is_not_pooled(tmp_path):
    """Nor scored on a fold; where all are judged on the same pictures nobody is left out."""
    made = matrices(5)
    parts = {"a0": (made[:3], 0), "a1": (made[3:5], 3), "a2": (made[5:], 5), "b": (made, 0)}
    folders = {n: keep(tmp_path / n, own, first=first) for n, (own, first) in parts.items()}
    pools = {n: n[0] for n in folders}
    found = resampling.resample(folders, "miou", pools, {"a2", "b"}, draws=50)
    assert set(found.scores) == {"a0", "a1", "b"}
    np.testing.assert_array_equal(found.scores["a0"], found.scores["a1"])
    assert found.pictures == 6
    only = {n: folders[n] for n in ("a0", "a1", "a2")}
    assert resampling.resample(only, "miou", pools, {*only}) is None
    every = resampling.resample(folders, "miou", pools, draws=50)
    assert not np.allclose(found.scores["a0"], every.scores["a0"], equal_nan=True)


def test_what_overlaps_is_no_fold(tmp_path):
    """As where those judge that a subset leaves: each run is scored on its own."""
    made = matrices(5)
    folders = {
        "a0": keep(tmp_path / "a0", made[:5]),
        "a1": keep(tmp_path / "a1", made[1:], first=1),
    }
    found = resampling.resample(folders, "miou", {n: "a" for n in folders}, {"a1"}, draws=50)
    assert (set(found.scores), found.pooled) == ({"a0", "a1"}, False)


def _two_arms(generator, count):
    """Matrices of an arm and of a slightly better one; rare classes are in some pictures alone."""
    often = np.array([1, 0.95, 0.9, 0.7, 0.6, 0.4])
    there = generator.random((count, 6)) < often
    pixels = generator.dirichlet([8, 6, 4, 2, 1, 0.5], count) * there * 4000
    hard = generator.normal(0, 0.08, (count, 1))
    arms = []
    for better in (0.0, 0.03):
        right = np.array([0.9, 0.85, 0.8, 0.6, 0.5, 0.4]) + better + hard
        share = np.clip(right + generator.normal(0, 0.05, (count, 6)), 0.05, 0.97)
        wrong = pixels * (1 - share)
        spread = (1 - np.eye(6)) / 5
        arms.append(np.eye(6) * (pixels * share)[..., None] + wrong[..., None] * spread)
    return arms


def test_the_interval_over_pictures_of_all_folds_covers():
    """The mean difference of seven folds of 30 pictures, with the spread of all of them pooled."""
    generator, classes = np.random.default_rng(0), np.arange(6)

    def gain(arm, other, times):
        scores = [rescored(times, matrices, classes)["miou"] for matrices in (arm, other)]
        return scores[1] - scores[0]

    (truth,) = gain(*_two_arms(generator, 5000), np.ones((1, 5000)))
    held = 0
    for seed in range(150):
        arms = _two_arms(generator, 30)
        folds = np.equal(np.arange(30) % 7, np.arange(7)[:, None])
        draws = gain(*arms, draw_times(30, 199, seed))
        low, high = statistics.resampled_interval(gain(*arms, folds).mean(), draws, 30)
        held += low <= truth <= high
    assert 0.9 <= held / 150 <= 0.99
