import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.core.batch import FIELDS, check_record
from geoseg_jax.data import transforms
from geoseg_jax.data.source import DataError
from geoseg_jax.data.transforms import Augmentation, augmentation, flip, random_flip, scale_and_crop
from geoseg_jax.ops.sampling import warp_with_flow

H, W = 4, 6


def record(seed=0):
    g = np.random.default_rng(seed)
    depth = np.zeros((6, 9), np.float32)
    depth[:5, :7] = g.uniform(1, 9, (5, 7))
    pose = np.eye(4, dtype=np.float32)
    pose[:3, 3] = -0.5, 0.01, 0.02
    pose[:3, :3] = np.linalg.qr(np.eye(3) + 0.05 * g.normal(size=(3, 3)))[0]
    return {
        "image": g.integers(0, 256, (H, W, 3), np.uint8),
        "sources": g.integers(0, 256, (2, H, W, 3), np.uint8),
        "intrinsics": np.array([[5, 0, 2.2], [0, 5, 1.4], [0, 0, 1]], np.float32),
        "stereo_pose": pose,
        "source_poses": np.stack([pose @ pose, np.linalg.inv(pose)]),
        "depth": depth,
        "depth_size": np.array((5, 7), np.int32),
        "constant_depth": g.uniform(1, 9, (H, W)).astype(np.float32),
        "constant_shape": g.uniform(1, 9, (H, W)).astype(np.float32),
        "constant_flow": g.normal(size=(H, W, 2)).astype(np.float32),
        "flow": g.normal(size=(H, W, 2)).astype(np.float32),
        "flow_valid": g.random((H, W)) < 0.5,
        "flow_visible": g.random((H, W)) < 0.5,
        "label": g.integers(0, 8, (H, W), np.uint8),
        "id": np.array(3, np.int32),
    }


@pytest.mark.parametrize("vertical", [False, True])
def test_twice_is_the_identity(vertical):
    before = record()
    once = flip(before, vertical=vertical)
    check_record(once, "flipped")
    twice = flip(once, vertical=vertical)
    for key, value in before.items():
        np.testing.assert_allclose(twice[key], value, atol=1e-6, err_msg=key)
        if key not in ("depth_size", "id"):
            assert not np.array_equal(once[key], value), key


@pytest.mark.parametrize("vertical", [False, True])
def test_a_point_appears_at_the_mirrored_pixel(vertical):
    """In the target and, by the poses, in the stereo partner and the source views."""
    before = record()
    before["intrinsics"][0, 1] = 0.3  # skew
    after = flip(before, vertical=vertical)
    point = np.array([0.7, -0.4, 6.0, 1.0])
    mirrored = point * ([1, -1, 1, 1] if vertical else [-1, 1, 1, 1])

    def pixels(r, p):
        seen = (p[:3], *((pose @ p)[:3] for pose in (r["stereo_pose"], *r["source_poses"])))
        return np.array([(r["intrinsics"] @ s / s[2])[:2] for s in seen])

    expected = pixels(before, point)
    axis = int(vertical)
    expected[:, axis] = (W, H)[axis] - 1 - expected[:, axis]
    np.testing.assert_allclose(pixels(after, mirrored), expected, atol=1e-5)


def test_flow_leads_to_the_mirrored_place():
    before = record()
    after = flip(before)
    x, y = 1, 2
    target = np.array([x, y]) + before["flow"][y, x]
    there = np.array([W - 1 - x, y]) + after["flow"][y, W - 1 - x]
    np.testing.assert_allclose(there, [W - 1 - target[0], target[1]], atol=1e-6)


def test_upside_down_everything_is_at_the_mirrored_row():
    before = record()
    after = flip(before, vertical=True)
    for key in ("image", "label", "constant_depth", "flow_valid"):
        np.testing.assert_array_equal(after[key], before[key][::-1])
    np.testing.assert_array_equal(after["sources"], before["sources"][:, ::-1])
    np.testing.assert_array_equal(after["depth"][:5], before["depth"][4::-1])
    np.testing.assert_array_equal(after["flow"], before["flow"][::-1] * np.float32([1, -1]))


def test_every_map_is_mirrored_and_vectors_turn():
    """By hand, one row and one column; and nothing that the contract has is passed over."""
    numbers, vectors = np.float32([[1, 2, 3]]), np.float32([[[1, 5], [2, 6], [3, 7]]])
    before = {"image": np.zeros((1, 3, 3), np.uint8)}
    for key, field in FIELDS.items():
        on_grid = [axis for axis in field.axes if axis.endswith(("H", "W"))]
        if on_grid and field.axes[-1] != "3":  # by their axes, whatever geometry they say they have
            values = vectors if field.axes[-1] == "2" else numbers
            before[key] = values.astype(field.dtype)
    across, upended = flip(before), flip(before, vertical=True)
    for key in before.keys() - {"image"}:
        if before[key].ndim == 2:
            np.testing.assert_array_equal(across[key], before[key][:, ::-1], err_msg=key)
            np.testing.assert_array_equal(upended[key], before[key], err_msg=key)
        else:
            assert across[key].tolist() == [[[-3, 7], [-2, 6], [-1, 5]]], key
            assert upended[key].tolist() == [[[1, -5], [2, -6], [3, -7]]], key
    assert {"constant_depth", "constant_shape", "constant_flow"} < before.keys()


def test_padded_maps_are_mirrored_within_their_size():
    flow = np.float32([[[1, 5], [2, 6], [0, 0]]])
    size = np.array((1, 2), np.int32)
    before = {"image": np.zeros((1, 3, 3), np.uint8), "flow": flow, "flow_size": size}
    assert flip(before)["flow"].tolist() == [[[-2, 6], [-1, 5], [0, 0]]]
    label = np.uint8([[1, 2, 255]])
    before = {"image": before["image"], "label": label, "label_size": size}
    assert flip(before)["label"].tolist() == [[2, 1, 255]]


@pytest.mark.parametrize(
    "change",
    [flip, lambda r: scale_and_crop(r, np.random.default_rng(0), crop=(2, 2))],
)
def test_what_nobody_described_is_refused(change):
    with pytest.raises(ValueError, match="'normals' is not a batch field"):
        change(labelled() | {"normals": np.zeros((12, 20, 3), np.float32)})


def test_each_flip_has_its_own_draw():
    change = Augmentation(flip=True, flip_vertical=True)
    before = labelled()
    found = {change(before, np.random.default_rng(s))["image"].tobytes() for s in range(40)}
    ways = [before["image"][::a, ::b] for a in (1, -1) for b in (1, -1)]
    assert found == {way.tobytes() for way in ways}
    assert augmentation({"flip_vertical": True}) == Augmentation(flip_vertical=True)


def test_depth_is_mirrored_within_its_true_size():
    before = record()
    after = flip(before)["depth"]
    np.testing.assert_array_equal(after[:5, :7], before["depth"][:5, 6::-1])
    assert not after[5:].any()
    assert not after[:, 7:].any()


def test_the_generator_decides_and_half_are_flipped():
    before = record()
    after = [random_flip(before, np.random.default_rng(seed)) for seed in range(200)]
    flipped = [not np.array_equal(a["image"], before["image"]) for a in after]
    assert 70 < sum(flipped) < 130
    assert flipped == [bool(a["flipped"]) for a in after]  # for cameras that are learned
    check_record(after[0], "flipped")


@pytest.mark.parametrize("key", ["image", "sources"])
def test_arrays_are_contiguous(key):
    """Or stacking and copying to the device would be slow."""
    assert flip(record())[key].flags.c_contiguous


def labelled(height=12, width=20, seed=0):
    """A picture whose colour is the label, so that the one tells where the other must be."""
    label = np.random.default_rng(seed).integers(0, 5, (height // 4, width // 4), np.uint8)
    label = np.kron(label, np.ones((4, 4), np.uint8))
    return {
        "image": np.repeat(label[..., None] * 40, 3, axis=-1),
        "label": label,
        "label_size": np.array(label.shape, np.int32),
        "id": np.array(3, np.int32),
    }


def test_a_crop_is_a_window_of_both():
    before = labelled()
    corners = set()
    for seed in range(60):
        after = scale_and_crop(before, np.random.default_rng(seed), crop=(5, 7))
        check_record(after, "cropped")
        places = [
            (y, x)
            for y in range(8)
            for x in range(14)
            if np.array_equal(before["label"][y : y + 5, x : x + 7], after["label"])
            and np.array_equal(before["image"][y : y + 5, x : x + 7], after["image"])
        ]
        assert places
        assert after["label_size"].tolist() == [5, 7]
        corners.update(places if len(places) == 1 else ())
    assert {y for y, _ in corners} >= {0, 7}  # up to the very borders
    assert {x for _, x in corners} >= {0, 13}


@pytest.mark.parametrize("factor", [0.6, 0.75, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_scaling_takes_the_label_with_its_picture_and_invents_none(axis, factor):
    """The label is the row or column, the picture three times that: they must go on agreeing."""
    ramp = np.indices((48, 80), np.uint8)[axis]
    before = {"image": np.repeat(3 * ramp[..., None], 3, axis=-1), "label": ramp}
    after = scale_and_crop(before, np.random.default_rng(1), (factor, factor), (32, 64))
    assert after["image"].shape == (32, 64, 3)
    inside = after["label"] != 255
    assert inside.sum() == min(32, round(48 * factor)) * min(64, round(80 * factor))
    assert set(np.unique(after["label"][inside])) <= set(np.unique(ramp))
    apart = after["image"][..., 0] / 3 - after["label"]
    assert np.abs(apart[inside]).max() < 0.85  # half a pixel, and the mean over an area's share
    assert (
        abs(apart[inside].mean()) < 0.25
    )  # ties go to one side; a shift of a pixel is 0.5 or more


@pytest.mark.parametrize(("side", "scaled"), [(8, 5), (8, 16), (7, 20), (31, 31), (100, 33)])
def test_the_nearest_label_is_that_of_the_nearest_pixel_centre(side, scaled):
    label = np.arange(side, dtype=np.uint8)[None].repeat(side, 0)
    cut = transforms._cut_map(label, label.shape, (scaled, scaled), (0, 0), (scaled, scaled), 255)
    centres = (np.arange(scaled) + 0.5) * side / scaled - 0.5
    assert (np.abs(centres - cut[0]) <= 0.5 + 1e-9).all()
    np.testing.assert_array_equal(cut, cut[:1].repeat(scaled, 0))


def test_a_smaller_picture_lies_anywhere_in_its_window():
    before = labelled(8, 8)
    corners = set()
    for seed in range(60):
        after = scale_and_crop(before, np.random.default_rng(seed), (0.5, 0.5), (6, 8))
        rows, columns = np.nonzero(after["label"] != 255)
        assert (np.ptp(rows), np.ptp(columns)) == (3, 3)
        corners.add((rows[0], columns[0]))
        outside = after["label"] == 255
        assert (after["image"][outside] == transforms.PADDING).all()
    assert corners == {(y, x) for y in range(3) for x in range(5)}


def test_a_scale_alone_keeps_the_size():
    after = scale_and_crop(labelled(), np.random.default_rng(0), (0.5, 2.0))
    assert after["image"].shape == (12, 20, 3)


def test_augmentation_is_a_function_of_its_generator_and_travels():
    change = pickle.loads(pickle.dumps(Augmentation(True, (0.5, 2.0), (8, 16))))
    before = labelled()
    ones = [change(before, np.random.default_rng(s)) for s in range(8)]
    again = [change(before, np.random.default_rng(s)) for s in range(8)]
    for one, other in zip(ones, again, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert len({one["image"].tobytes() for one in ones}) == 8
    assert before["label_size"].tolist() == [12, 20]  # what came in is left alone


def test_augmentation_from_settings():
    assert augmentation({}) == Augmentation()
    assert not augmentation({"flip": False, "scale": ()})
    assert augmentation({"flip": True, "scale": [0.5, 2], "crop": [4, 4]}) == Augmentation(
        True, (0.5, 2), (4, 4)
    )


def test_twice_as_large_is_half_as_far_away_to_the_same_camera():
    generator = np.random.default_rng(0)
    depth = generator.uniform(1, 9, (12, 20)).astype(np.float32)
    depth[3:5] = 0
    before = {
        "image": np.repeat((depth * 25)[..., None], 3, axis=-1).astype(np.uint8),
        "sources": np.empty((0, 12, 20, 3), np.uint8),
        "intrinsics": np.array([[15, 0, 9.2], [0, 16, 5.4], [0, 0, 1]], np.float32),
        "stereo_pose": np.eye(4, dtype=np.float32),
        "depth": depth,
        "depth_size": np.array((12, 20), np.int32),
    }
    twice = scale_and_crop(before, generator, scale=(2.0, 2.0), crop=(24, 40))
    check_record(twice, "scaled")
    np.testing.assert_array_equal(twice["depth"], np.kron(depth, np.ones((2, 2), np.float32)) / 2)
    point = np.array([0.3, -0.2, 4.0])
    seen = before["intrinsics"] @ point
    x, y = seen[:2] / seen[2]
    seen = twice["intrinsics"] @ (point / [1, 1, 2])
    np.testing.assert_allclose(seen[:2] / seen[2], [2 * x + 0.5, 2 * y + 0.5], rtol=1e-5)
    for seed in range(5):
        window = scale_and_crop(twice, np.random.default_rng(seed), crop=(8, 12))
        left, top = np.round((twice["intrinsics"] - window["intrinsics"])[:2, 2]).astype(int)
        shown = twice["depth"][top : top + 8, left : left + 12]
        np.testing.assert_array_equal(window["depth"], shown)
        assert window["depth_size"].tolist() == [8, 12]
        assert window["sources"].shape == (0, 8, 12, 3)
    # What lies around a picture smaller than its window was not measured.
    small = scale_and_crop(before, generator, scale=(0.5, 0.5), crop=(12, 20))
    assert (small["depth"] > 0).sum() <= 60
    assert not small["depth"][(small["image"] == transforms.PADDING).all(-1)].any()


FLOW = {"u": (3, 0.08, -0.05), "v": (-2, 0.04, 0.1)}  # of a place (1, x, y), in pixels


def motion(x, y):
    return np.stack([a + b * x + c * y for a, b, c in FLOW.values()], axis=-1)


def pair(height=48, width=64, known=1.0, seed=0):
    """Two frames of a wavy cloth and the affine flow from the first to the second, exactly."""

    def cloth(x, y):
        waves = [np.sin(x / 4 + y / 9), np.sin(y / 4 - x / 7), np.sin((x + y) / 5)]
        return np.rint(127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)

    y, x = np.indices((height, width)).astype(float)
    flow = motion(x, y)
    there = x + flow[..., 0], y + flow[..., 1]
    valid = np.random.default_rng(seed).random((height, width)) < known
    inside = (np.abs(there[0] * 2 - width + 1) < width) & (
        np.abs(there[1] * 2 - height + 1) < height
    )
    return {
        "image": cloth(*there),
        "sources": cloth(x, y)[None],
        "intrinsics": np.array([[50, 0, 30.2], [0, 48, 25.4], [0, 0, 1]], np.float32),
        "stereo_pose": np.eye(4, dtype=np.float32),
        "flow": np.where(valid[..., None], flow, 0).astype(np.float32),
        "flow_valid": valid,
        "flow_visible": valid & inside,
        "id": np.array(3, np.int32),
    }


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.35, 2.0])
@pytest.mark.parametrize("known", [1.0, 0.3])
def test_the_second_frame_seen_along_a_scaled_flow_is_the_first(factor, known):
    before, errors = pair(known=known), []
    for seed in range(4):
        after = scale_and_crop(before, np.random.default_rng(seed), (factor, factor), (32, 40))
        check_record(after, "cropped")
        assert after["flow"].shape == (32, 40, 2)
        warped, inside = warp_with_flow(jnp.float32(after["sources"][0]), after["flow"])
        seen = after["flow_valid"] & np.asarray(inside)
        assert seen.sum() > 0.2 * known / max(1, factor) ** 2 * seen.size
        errors.append(np.abs(warped - after["image"])[seen])
    # Rounded colours, and what pictures lose where they shrink; standing still is off by 20.
    assert np.concatenate(errors).mean() < 1.6
    standing = np.abs(np.float32(after["sources"][0]) - after["image"])[seen].mean()
    assert standing > 20


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("factor", [0.8, 1.5])
def test_an_affine_flow_and_the_camera_of_its_views_agree_in_a_window(factor, flipped):
    """Where a pixel of the window comes from is known by the camera, whose rays it keeps."""
    before = pair()
    after = scale_and_crop(before, np.random.default_rng(3), (factor, factor), (32, 40))
    after = flip(after) if flipped else after
    old, new = before["intrinsics"].astype(float), after["intrinsics"].astype(float)
    y, x = np.indices((32, 40)).astype(float)
    sign = -1 if flipped else 1
    zoom = new[[0, 1], [0, 1]] / old[[0, 1], [0, 1]]
    np.testing.assert_allclose(zoom, [round(64 * factor) / 64, round(48 * factor) / 48], rtol=1e-5)
    place = sign * (x - new[0, 2]) / zoom[0] + old[0, 2], (y - new[1, 2]) / zoom[1] + old[1, 2]
    expected = motion(*place) * zoom * [sign, 1]
    assert after["flow_valid"].mean() > 0.9
    known = after["flow_valid"]
    np.testing.assert_allclose(after["flow"][known], expected[known], atol=1e-3)
    there = [place[i] + motion(*place)[..., i] for i in (0, 1)]
    inside = (np.abs(there[0] - 31.5) < 31) & (np.abs(there[1] - 23.5) < 23)
    assert after["flow_visible"][inside & known].all()
    assert not after["flow_visible"][~known].any()


def test_around_a_pair_smaller_than_its_window_no_flow_is_known():
    after = scale_and_crop(pair(), np.random.default_rng(2), (0.5, 0.5), (32, 40))
    outside = (after["image"] == transforms.PADDING).all(-1)
    np.testing.assert_array_equal(outside, (after["sources"][0] == transforms.PADDING).all(-1))
    assert outside.sum() == 32 * 40 - 24 * 32
    np.testing.assert_array_equal(after["flow_valid"], ~outside)


def test_views_of_one_world_keep_their_depth_and_a_point_its_place_in_both():
    before = pair()
    depth = np.full((48, 64), 4.0, np.float32)
    pose = before["stereo_pose"].copy()
    pose[0, 3] = -0.3
    before |= {"depth": depth, "depth_size": np.array((48, 64), np.int32), "stereo_pose": pose}
    after = scale_and_crop(before, np.random.default_rng(0), (1.5, 1.5), (72, 96))
    np.testing.assert_array_equal(after["depth"], 4.0)
    np.testing.assert_array_equal(after["stereo_pose"], pose)
    point = np.array([0.3, -0.2, 4.0])
    for seen in (point, pose[:3, :3] @ point + pose[:3, 3]):
        old, new = (r["intrinsics"] @ seen / seen[2] for r in (before, after))
        np.testing.assert_allclose(new[:2], 1.5 * (old[:2] + 0.5) - 0.5, rtol=1e-5)


def test_scale_and_crop_refuse_what_they_can_not_do():
    with pytest.raises(DataError, match=r"these records hold constant_depth, .*scale=\(\)"):
        scale_and_crop(record(), np.random.default_rng(0), crop=(2, 2))
    before = labelled() | {"label": np.zeros((3, 3), np.uint8)}
    with pytest.raises(DataError, match=r"size \[12, 20\], got \[3, 3\]"):
        scale_and_crop(before, np.random.default_rng(0), crop=(2, 2))
    before = pair() | {"flow_valid": np.ones((50, 64), bool)}
    with pytest.raises(DataError, match=r"flow of .* size \[48, 64\], got \[50, 64\]"):
        scale_and_crop(before, np.random.default_rng(0), crop=(2, 2))
