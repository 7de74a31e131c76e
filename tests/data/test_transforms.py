import numpy as np
import pytest

from geoseg_jax.batch import check_record
from geoseg_jax.data.transforms import flip, random_flip

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
        "depth": depth,
        "depth_size": np.array((5, 7), np.int32),
        "constant_depth": g.uniform(1, 9, (H, W)).astype(np.float32),
        "flow": g.normal(size=(H, W, 2)).astype(np.float32),
        "flow_valid": g.random((H, W)) < 0.5,
        "label": g.integers(0, 8, (H, W), np.uint8),
        "id": np.array(3, np.int32),
    }


def test_twice_is_the_identity():
    before = record()
    once = flip(before)
    check_record(once, "flipped")
    twice = flip(once)
    for key, value in before.items():
        np.testing.assert_allclose(twice[key], value, atol=1e-6, err_msg=key)
        if key not in ("depth_size", "id"):
            assert not np.array_equal(once[key], value), key


def test_a_point_appears_at_the_mirrored_pixel():
    """In the target and, by the pose, in the stereo partner."""
    before = record()
    after = flip(before)
    point = np.array([0.7, -0.4, 6.0, 1.0])
    mirrored = point * [-1, 1, 1, 1]

    def pixels(r, p):
        seen = (p[:3], (r["stereo_pose"] @ p)[:3])
        return np.array([(r["intrinsics"] @ s / s[2])[:2] for s in seen])

    expected = pixels(before, point)
    expected[:, 0] = W - 1 - expected[:, 0]
    np.testing.assert_allclose(pixels(after, mirrored), expected, atol=1e-5)


def test_flow_leads_to_the_mirrored_place():
    before = record()
    after = flip(before)
    x, y = 1, 2
    target = np.array([x, y]) + before["flow"][y, x]
    there = np.array([W - 1 - x, y]) + after["flow"][y, W - 1 - x]
    np.testing.assert_allclose(there, [W - 1 - target[0], target[1]], atol=1e-6)


def test_depth_is_mirrored_within_its_true_size():
    before = record()
    after = flip(before)["depth"]
    np.testing.assert_array_equal(after[:5, :7], before["depth"][:5, 6::-1])
    assert not after[5:].any()
    assert not after[:, 7:].any()


def test_the_generator_decides_and_half_are_flipped():
    before = record()
    flipped = [
        not np.array_equal(random_flip(before, np.random.default_rng(s))["image"], before["image"])
        for s in range(200)
    ]
    assert 70 < sum(flipped) < 130


@pytest.mark.parametrize("key", ["image", "sources"])
def test_arrays_are_contiguous(key):
    """Or stacking and copying to the device would be slow."""
    assert flip(record())[key].flags.c_contiguous
