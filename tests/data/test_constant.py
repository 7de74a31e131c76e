import numpy as np
import pytest

from geoseg_jax.data import constant
from geoseg_jax.data.constant import WithConstantDepth, cell_depths
from geoseg_jax.data.source import DataError

SIZE = {"height": 2, "width": 3}


class DepthSource:
    """Depth maps by name; several names may share a moment, the part before a blank."""

    def __init__(self, maps):
        self.names, self.maps, self.left_out = list(maps), list(maps.values()), {"reason": 1}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return {"image": np.full((2, 3, 3), index, np.uint8)}

    def describe(self, index):
        return self.names[index]

    def moment(self, index):
        return self.names[index].split()[0]

    def depth(self, index):
        return self.maps[index]

    def has_depth(self, index):
        return self.maps[index] is not None

    def fingerprint(self):
        return "f"


def full(*values):
    """Maps [2, 3] of one value each."""
    return [np.full((2, 3), value, np.float32) for value in values]


def constants(evaluation, training, limit=100):
    source = WithConstantDepth(evaluation, training, **SIZE, limit=limit)
    return [source[i]["constant_depth"] for i in range(len(source))]


def test_the_depth_of_least_relative_error():
    """Of 1, 10 and 10 m the median is off by 9, 0 and 0: 3.0 in the mean; 1 m by 0, .9 and .9."""
    training = DepthSource(dict(zip("abc", full(1, 10, 10), strict=True)))
    (found,) = constants(DepthSource({"x": full(9)[0]}), training)
    np.testing.assert_array_equal(found, np.ones((2, 3)))
    assert found.dtype == np.float32
    maps = full(4, 7, 5, 40)
    maps[0][0, 0] = maps[3][1, 2] = 0  # not measured
    training = DepthSource(dict(zip("abcd", maps, strict=True)))
    (found,) = constants(DepthSource({"x": full(9)[0]}), training)
    # Of weights 1/4, 1/5, 1/7 and 1/40 the second passes half of the sum, 0.309; at the corner of
    # 1/5, 1/7 and 1/40 the first, 0.184.
    assert found[0].tolist() == [5, 5, 5]
    assert found[1].tolist() == [5, 5, 5]
    maps[2][1, 0] = 0
    (found,) = constants(DepthSource({"x": full(9)[0]}), training)
    assert found[1].tolist() == [4, 5, 5]


def relative_error(answer, truths):
    """Sum over the measured truths, in float64."""
    with np.errstate(invalid="ignore"):
        return np.nansum(np.abs(answer.astype(float) - truths) / truths, axis=0)


def test_leaves_out_the_evaluated_frame():
    """Against all answers that were measured in another frame, one by one, holes included."""
    generator = np.random.default_rng(0)
    maps = np.exp(generator.uniform(-2, 4, (9, 2, 3))).astype(np.float32)
    maps[generator.random(maps.shape) < 0.3] = 0
    maps[:, 1, 1] = maps[0, 1, 1] = 5  # equal values
    training = DepthSource({str(i): m for i, m in enumerate(maps)})
    evaluation = DepthSource({**{str(i): maps[i] for i in range(9)}, "new": maps[0]})
    found = constants(evaluation, training)
    measured = np.where(maps > 0, maps.astype(float), np.nan)
    for i, answer in enumerate(found):
        others = np.delete(measured, i, 0) if i < 9 else measured
        assert (answer == others).any(axis=0).all()  # none is the frame's own
        best = np.min([relative_error(o, others) for o in np.nan_to_num(others, nan=1e9)], axis=0)
        np.testing.assert_allclose(relative_error(answer, others), best, rtol=1e-5)


def test_the_shape_is_of_least_error_where_each_frame_is_scaled_to_its_median():
    generator = np.random.default_rng(1)
    maps = np.exp(generator.uniform(0, 2, (5, 2, 3)) + generator.uniform(-3, 3, (5, 1, 1)))
    maps[0, 0, 0] = 0
    maps = maps.astype(np.float32)
    training = DepthSource({str(i): m for i, m in enumerate(maps)})
    source = WithConstantDepth(training, training, **SIZE, limit=100)
    measured = np.where(maps > 0, maps.astype(float), np.nan)
    measured /= np.nanmedian(measured, axis=(1, 2), keepdims=True)
    for i in range(5):
        others = np.delete(measured, i, 0)
        best = np.min([relative_error(o, others) for o in np.nan_to_num(others, nan=1e9)], axis=0)
        found = relative_error(source[i]["constant_shape"], others)
        np.testing.assert_allclose(found, best, rtol=1e-5)
    far = DepthSource({str(i): m * 10**i for i, m in enumerate(maps)})  # of the same shapes
    again = WithConstantDepth(far, far, **SIZE, limit=100)[2]
    np.testing.assert_allclose(again["constant_shape"], source[2]["constant_shape"], rtol=1e-5)
    assert set(again) == {"image", "constant_depth", "constant_shape"}


def test_both_cameras_of_a_moment_are_left_out():
    one, two = full(3, 8)
    training = DepthSource({"1 l": one, "1 r": one, "2 l": two, "2 r": two})
    found = constants(training, training)
    assert [f[0, 0] for f in found] == [8, 8, 3, 3]


def test_unmeasured_cells_take_the_nearest():
    truth = np.zeros((2, 3), np.float32)
    truth[0, 0], truth[1, 2] = 4, 9
    (found,) = constants(DepthSource({"x": truth}), DepthSource({"a": truth}))
    assert found[0, :2].tolist() == [4, 4]
    assert found[1, 1:].tolist() == [9, 9]
    assert (found[0, 2], found[1, 0]) == (9, 4)


def test_cells_hold_the_best_answer_for_what_falls_in_them():
    depth = np.array([[1, 2, 0, 0], [9, 0, 0, 5]], np.float32)
    np.testing.assert_array_equal(cell_depths(depth, 1, 2), [[1, 5]])
    # 3 columns into 2: centres at 1/3, 1, 5/3 of a cell's width, the middle one in the right cell.
    np.testing.assert_array_equal(cell_depths(np.array([[1.0, 6, 4]]), 1, 2), [[1, 4]])
    np.testing.assert_array_equal(cell_depths(np.array([[4.0, 5, 6]]), 1, 1), [[5]])
    np.testing.assert_array_equal(cell_depths(np.zeros((2, 2)), 1, 1), [[np.nan]])
    generator = np.random.default_rng(0)
    depth = np.exp(generator.uniform(-2, 4, (40, 60))).astype(np.float32)
    depth[generator.random(depth.shape) < 0.3] = 0
    found = cell_depths(depth, 4, 5)
    for row, column in np.ndindex(4, 5):
        values = depth[10 * row : 10 * row + 10, 12 * column : 12 * column + 12]
        values = values[values > 0].astype(float)
        best = min(relative_error(value, values) for value in values)
        np.testing.assert_allclose(relative_error(found[row, column], values), best, rtol=1e-6)


def test_frames_are_evenly_spaced(monkeypatch):
    read = []
    monkeypatch.setattr(constant, "_depth", lambda s, i: read.append(i) or s.depth(i))
    maps = dict(zip("abcdefghi", full(*range(1, 10)), strict=True))
    maps["b"] = None
    (found,) = constants(DepthSource({"x": full(9)[0]}), DepthSource(maps), limit=3)
    assert read == [0, 5, 8]
    assert found[0, 0] == 1


def test_sources_without_a_short_cut_read_the_record():
    class Plain:
        def __init__(self):
            self.left_out = {}

        def __len__(self):
            return 2

        def __getitem__(self, index):
            depth = np.zeros((4, 9), np.float32)
            depth[:2, :3] = index + 1
            return {"depth": depth, "depth_size": np.array((2, 3), np.int32)}

        def describe(self, index):
            return f"plain {index}"

    assert [c[0, 0] for c in constants(Plain(), Plain())] == [2, 1]


def test_without_training_depth_the_evaluation_frames_stand_in():
    evaluation = DepthSource(dict(zip("ab", full(3, 8), strict=True)))
    assert [c[0, 0] for c in constants(evaluation, DepthSource({"t": None}))] == [8, 3]


def test_a_single_frame_has_no_other():
    one = DepthSource({"a": full(3)[0]})
    with pytest.raises(DataError, match="at least one training frame beside"):
        constants(one, one)


def test_the_rest_is_the_evaluation_source():
    evaluation = DepthSource(dict(zip("ab", full(3, 8), strict=True)))
    source = WithConstantDepth(evaluation, evaluation, **SIZE, limit=5)
    assert (len(source), source.describe(1), source.left_out) == (2, "b", {"reason": 1})
    assert source[1]["image"][0, 0, 0] == 1
    assert source.fingerprint() == "f"
