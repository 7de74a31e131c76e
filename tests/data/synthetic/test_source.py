"""The synthetic sources as sources: their contract, their determinism, what they show."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from geoseg_jax.core.batch import check_record
from geoseg_jax.data.labels.tables.synthetic import CLASSES, OBJECT_CATEGORIES, class_index
from geoseg_jax.data.source import DataError, Source
from geoseg_jax.data.synthetic.materials import PATTERNS
from geoseg_jax.data.synthetic.objects import make_object
from geoseg_jax.data.synthetic.scene import PATTERN_NAMES
from geoseg_jax.data.synthetic.source import ObjectSource, SyntheticSource
from geoseg_jax.data.synthetic.truth import label_map, trace

DIGEST = """
import hashlib
from geoseg_jax.data.synthetic.source import ObjectSource, SyntheticSource
sha = hashlib.sha256()
for source in (SyntheticSource("street", 9, 7, 32, 48), SyntheticSource("room", 9, 7, 32, 48),
               ObjectSource(9, 7, 24, 24)):
    for i in (8, 2):
        for key, value in sorted(source[i].items()):
            sha.update(key.encode() + value.tobytes())
digest = sha.hexdigest()
"""


def test_records_are_a_function_of_seed_and_index_in_every_process():
    here = {}
    exec(DIGEST, here)
    code = DIGEST + "import sys; print(digest, any(m in sys.modules for m in ('jax', 'flax')))"
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.split() == [here["digest"], "False"]


@pytest.mark.parametrize("world", ["street", "room"])
def test_records_keep_the_contract(world):
    source = SyntheticSource(world, size=3, seed=0, height=24, width=40)
    assert isinstance(source, Source)
    record = source[1]
    check_record(record, "synthetic")
    assert set(record) == {
        "image", "sources", "intrinsics", "stereo_pose", "depth", "depth_size", "flow",
        "flow_valid", "flow_visible", "label", "id", "replaced",
    }  # fmt: skip
    assert record["sources"].shape == (3, 24, 40, 3)
    assert record["depth_size"].tolist() == [24, 40]
    assert record["id"] == 1
    assert record["replaced"] == 0
    np.testing.assert_array_equal(source.depth(1), record["depth"])
    flow, known = source.flow(1)
    np.testing.assert_array_equal(flow, record["flow"])
    np.testing.assert_array_equal(known, record["flow_valid"])
    assert not (record["flow_visible"] & ~known).any()
    assert source.left_out == {}
    assert source.poses(1).shape == (3, 4, 4)
    np.testing.assert_allclose(source.poses(1)[2], source.stereo_pose, atol=1e-6)
    assert world in source.describe(1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[1]["image"], record["image"])


def test_views_asked_for_are_those_given():
    base = SyntheticSource("street", 3, 0, 24, 40)[2]
    more = SyntheticSource("street", 3, 0, 24, 40, frames=(1, 2, -1), stereo=False)[2]
    assert more["sources"].shape[0] == 3
    np.testing.assert_array_equal(more["sources"][0], base["sources"][1])
    np.testing.assert_array_equal(more["sources"][2], base["sources"][0])
    np.testing.assert_array_equal(more["stereo_pose"], np.eye(4))
    stereo = SyntheticSource("street", 3, 0, 24, 40, frames=())[2]
    np.testing.assert_array_equal(stereo["sources"][0], base["sources"][2])
    assert np.abs(stereo["flow"][..., 1]).max() < 1e-3  # the flow leads to the stereo partner
    alone = SyntheticSource("street", 3, 0, 24, 40, frames=(), stereo=False)[2]
    assert alone["sources"].shape == (0, 24, 40, 3)
    assert "flow" not in alone
    check_record(alone, "without sources")


def test_records_differ_from_one_another_and_between_seeds():
    digests = set()
    for seed in (0, 1):
        source = SyntheticSource("street", 4, seed, 24, 40, frames=(), stereo=False)
        digests |= {hashlib.sha256(source[i]["image"].tobytes()).digest() for i in range(4)}
    assert len(digests) == 8


def test_cameras_drive_forward_and_some_stand_while_cars_move():
    source = SyntheticSource("street", 80, 2, 24, 40)
    steps, traffic = [], 0
    for i in range(80):
        step = source.poses(i)[1]  # to the next frame: what is ahead comes nearer
        steps.append(-step[2, 3])
        if np.linalg.norm(step[:3, 3]) == 0:
            traffic += source.shot(i).scene.moving.any()
    steps = np.array(steps)
    assert (steps >= -1e-9).all()
    assert 0 < (steps == 0).sum() < 25
    assert traffic > 0
    assert steps.std() > 0.1
    assert steps.max() < 1.3


@pytest.mark.parametrize(("world", "size"), [("street", 60), ("room", 60)])
def test_every_class_is_named_and_appears(world, size):
    names = [entry.name for entry in CLASSES[world]]
    assert len(names) >= 8
    assert len(set(names)) == len(names)
    assert len({entry.color for entry in CLASSES[world]}) == len(names)
    source = SyntheticSource(world, size, 0, 32, 64, frames=(), stereo=False)
    counts = np.zeros(256, int)
    for i in range(size):
        scene, view, _ = source.shot(i)
        counts += np.bincount(label_map(scene, trace(scene, view)).ravel(), minlength=256)
    assert (counts[: len(names)] > 0).all(), dict(zip(names, counts, strict=False))
    assert counts[len(names) :].sum() == 0


def test_depth_ranges_are_those_of_a_street_and_a_room():
    for world, low, high in (("street", 1.0, 80.0), ("room", 0.3, 12.0)):
        source = SyntheticSource(world, 24, 1, 24, 48)
        depth = np.stack([source.depth(i) for i in range(24)])
        known = depth[depth > 0]
        assert known.min() > low
        assert known.max() <= high
        assert known.max() > 0.5 * high
        # What a map that ignores the picture can't know: depth varies between records.
        assert np.median(np.where(depth > 0, depth, np.nan).std(0)) > 0.05 * np.median(known) or (
            world == "street"
        )
        assert (depth == 0).any() == (world == "street")


def test_objects_are_balanced_and_named():
    source = ObjectSource(size=45, seed=1, height=16, width=16)
    assert len(OBJECT_CATEGORIES) >= 8
    categories = [source.category(i) for i in range(45)]
    counts = np.bincount(categories, minlength=len(OBJECT_CATEGORIES))
    assert counts.max() - counts.min() <= 1
    assert categories[:10] != categories[10:20]
    record = source[7]
    check_record(record, "object")
    assert record["category"] == categories[7]
    assert OBJECT_CATEGORIES[categories[7]] in source.describe(7)


def test_objects_fill_a_fair_part_of_the_picture():
    for category, name in enumerate(OBJECT_CATEGORIES):
        for trial in range(4):
            scene, view = make_object(np.random.default_rng([trial, category]), category, 32, 32)
            hits = trace(scene, view)
            backdrop = scene.instance.max()  # the backdrop comes last
            thing = (hits.index >= 0) & (scene.instance[hits.index] != backdrop)
            assert 0.015 < thing.mean() < 0.7, name
            y, x = np.nonzero(thing)
            assert abs(x.mean() - 15.5) < 8, name
            assert abs(y.mean() - 15.5) < 8, name


def test_fingerprints_tell_all_parameters():
    base = dict(world="street", size=4, seed=0, height=24, width=40, frames=(-1, 1), stereo=True)
    changes = dict(world="room", size=5, seed=1, height=32, width=48, frames=(1,), stereo=False)
    prints = {SyntheticSource(**base).fingerprint()}
    prints |= {SyntheticSource(**base | {k: v}).fingerprint() for k, v in changes.items()}
    prints.add(ObjectSource(4, 0, 24, 40).fingerprint())
    assert len(prints) == 9
    assert SyntheticSource(**base).fingerprint() in prints


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"world": "moon"}, "moon"),
        ({"size": 0}, "size=0"),
        ({"height": 2}, "2x64"),
        ({"frames": (0, 1)}, "config.data.frames"),
        ({"frames": (1, 1)}, "config.data.frames"),
    ],
)
def test_bad_parameters_are_named(wrong, words):
    with pytest.raises(DataError, match=words):
        SyntheticSource(**{"height": 32, "width": 64} | wrong)


def test_indices_beyond_the_end_are_refused():
    with pytest.raises(IndexError, match="record 3"):
        SyntheticSource("street", 3, 0, 24, 40)[3]
    with pytest.raises(ValueError, match="'tram'"):
        class_index("street", "tram")


def test_every_pattern_has_its_function():
    assert [pattern.__name__ for pattern in PATTERNS] == list(PATTERN_NAMES)
