import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import metrics
from tests.ops import transforms

RANDOM = np.random.default_rng(0)
PREDICTED, TRUTH = RANDOM.uniform(1, 40, (2, 3, 6, 8)).astype(np.float32)
VALID = RANDOM.random((3, 6, 8)) < 0.6
VALID[0, 0, 0] ^= VALID[0].sum() % 2 == VALID[1].sum() % 2  # an odd and an even count


def test_values_by_hand():
    predicted, truth = jnp.array([[2.0, 4.0, 9.0]]), jnp.array([[1.0, 5.0, 0.0]])
    sums = metrics.depth_error_sums(predicted, truth, truth > 0)
    np.testing.assert_allclose(sums["abs_rel"], (1 / 1 + 1 / 5) / 2)
    np.testing.assert_allclose(sums["sq_rel"], (1 / 1 + 1 / 5) / 2)
    np.testing.assert_allclose(sums["rmse"], 1.0)
    wanted = np.sqrt((np.log(2) ** 2 + np.log(0.8) ** 2) / 2)
    np.testing.assert_allclose(sums["rmse_log"], wanted, rtol=1e-5)
    np.testing.assert_allclose(sums["delta1"], 0.0)  # 5 / 4 is not below 1.25
    np.testing.assert_allclose(sums["delta2"], 0.5)
    np.testing.assert_allclose(sums["delta3"], 0.5)
    assert sums["images"] == 1


def test_against_numpy():
    sums = metrics.depth_error_sums(PREDICTED, TRUTH, VALID)
    assert set(sums) == {*metrics.METRICS, "images"}
    for i in range(3):
        p, t = PREDICTED[i][VALID[i]].astype(float), TRUTH[i][VALID[i]].astype(float)
        wanted = {
            "abs_rel": (np.abs(p - t) / t).mean(),
            "sq_rel": ((p - t) ** 2 / t).mean(),
            "rmse": np.sqrt(((p - t) ** 2).mean()),
            "rmse_log": np.sqrt((np.log(p / t) ** 2).mean()),
            **{f"delta{k}": (np.maximum(p / t, t / p) < 1.25**k).mean() for k in (1, 2, 3)},
        }
        for name, value in wanted.items():
            np.testing.assert_allclose(sums[name][i], value, rtol=1e-5, err_msg=name)


def test_perfect_prediction_and_image_without_truth():
    sums = metrics.depth_error_sums(TRUTH, TRUTH, VALID)
    for name, value in sums.items():
        np.testing.assert_array_equal(value, float(name.startswith(("delta", "images"))))
    truth = np.full_like(TRUTH, np.nan)
    for value in metrics.depth_error_sums(PREDICTED, truth, np.zeros_like(VALID)).values():
        np.testing.assert_array_equal(value, 0)


def test_median_scale_of_odd_and_even_counts():
    scale = metrics.median_scale(PREDICTED, TRUTH, VALID)
    for i in range(3):
        wanted = np.median(TRUTH[i][VALID[i]]) / np.median(PREDICTED[i][VALID[i]])
        np.testing.assert_allclose(scale[i], wanted, rtol=1e-6)
    assert len({int(v.sum()) % 2 for v in VALID}) == 2  # both kinds are among them
    np.testing.assert_array_equal(metrics.median_scale(PREDICTED, TRUTH, np.zeros_like(VALID)), 1)


def test_median_scale_undoes_a_factor():
    scale = metrics.median_scale(TRUTH / 7, TRUTH, VALID)
    np.testing.assert_allclose(scale, 7, rtol=1e-5)


@pytest.mark.parametrize("size", [(375, 1242), (370, 1224), (376, 1241), (128, 416), (185, 612)])
def test_garg_crop_truncates_as_numpy_does(size):
    height, width = size
    rows = (np.array([0.40810811, 0.99189189]) * height).astype(np.int32)
    columns = (np.array([0.03594771, 0.96405229]) * width).astype(np.int32)
    wanted = np.zeros((376, 1242), bool)
    wanted[rows[0] : rows[1], columns[0] : columns[1]] = True
    got = metrics.garg_crop(jnp.array(size, jnp.int32), 376, 1242)
    np.testing.assert_array_equal(got, wanted)


def test_garg_crop_of_several_sizes_at_once():
    sizes = jnp.array([[20, 40], [30, 60]], jnp.int32)
    both = metrics.garg_crop(sizes, 30, 60)
    assert both.shape == (2, 30, 60)
    assert both[0].sum() == (19 - 8) * (38 - 1)
    assert both[1].sum() == (29 - 12) * (57 - 2)


def test_evaluation_mask():
    truth = jnp.array([[0.0, 0.5, 80.0, 10.0], [10.0, 10.0, 10.0, 10.0]])
    size = jnp.array([1, 4], jnp.int32)
    mask = metrics.evaluation_mask(truth, size, min_depth=1e-3, max_depth=80.0, crop="none")
    np.testing.assert_array_equal(mask, [[False, True, False, True], [False] * 4])
    whole = metrics.evaluation_mask(
        jnp.ones((20, 40)), jnp.array([20, 40]), min_depth=0.0, max_depth=2.0
    )
    np.testing.assert_array_equal(whole, metrics.garg_crop(jnp.array([20, 40]), 20, 40))
    with pytest.raises(ValueError, match="'eigen'"):
        metrics.evaluation_mask(truth, size, min_depth=0, max_depth=1, crop="eigen")


def test_same_under_transformations():
    predicted, truth = RANDOM.uniform(1, 40, (2, 8, 6, 8)).astype(np.float32)
    size = np.stack([np.arange(3, 7).repeat(2), np.arange(1, 9)], -1).astype(np.int32)

    def evaluate(predicted, truth, size):
        valid = metrics.evaluation_mask(truth, size, min_depth=2.0, max_depth=30.0)
        scale = metrics.median_scale(predicted, truth, valid)
        scaled = predicted * scale[..., None, None]
        return scale, metrics.depth_error_sums(scaled, truth, valid)

    transforms.check_transforms(evaluate, predicted, truth, size)


def test_windows_are_those_of_the_literature():
    size = np.array([[480, 640], [240, 320]], np.int32)
    kept = np.asarray(
        jax.jit(metrics.window, static_argnums=(1, 2, 3))(size, 480, 640, "eigen_nyu")
    )
    expected = np.zeros_like(kept)
    expected[0, 45:471, 41:601] = True
    expected[1, 22:235, 20:300] = True
    np.testing.assert_array_equal(kept, expected)
    # Cityscapes without its lowest quarter: rows 256 to 767, columns 192 to 1855.
    size = np.array([768, 2048], np.int32)
    kept = np.asarray(metrics.window(size, 768, 2048, "cityscapes"))
    assert kept[256:, 192:1856].all()
    assert kept.sum() == 512 * 1664
