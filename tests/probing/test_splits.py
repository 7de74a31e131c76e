"""Every picture judges once, and no recording is on both sides."""

import numpy as np
import pytest

from geoseg_jax.data.source import DataError
from geoseg_jax.probing import splits

NAMES = [f"{i:02d}" for i in range(20)]
UNKNOWN = [""] * 20
DRIVES = ["abcdefg"[i % 7] for i in range(20)]


@pytest.mark.parametrize("recordings", [UNKNOWN, DRIVES, NAMES, ["one"] * 20])
def test_every_picture_judges_once_and_trains_no_judge_of_its_recording(recordings):
    cells = list(splits.cells(NAMES, recordings, (4, 0), 5, 3))
    assert len(cells) == 5 * (3 + 1)
    for labels, repeat in [(4, 0), (4, 1), (4, 2), (0, 0)]:
        group = [c for c in cells if (c.labels, c.repeat) == (labels, repeat)]
        judged = np.concatenate([cell.judged for cell in group])
        assert sorted(judged) == list(range(20))
        for cell in group:
            assert len(cell.train) == labels or not labels
            assert not set(cell.train) & set(cell.judged)
            fit_on, choose_on = cell.inner
            assert len(choose_on)
            assert len(fit_on)
            assert sorted([*fit_on, *choose_on]) == sorted(cell.train)
            if recordings is DRIVES:
                for one, other in ((cell.train, cell.judged), (fit_on, choose_on)):
                    assert not {DRIVES[i] for i in one} & {DRIVES[i] for i in other}
    chosen = [set(c.train) for c in cells if c.labels and not c.fold]
    assert chosen[0] != chosen[1]


def test_neighbours_of_an_unknown_recording_stay_together():
    np.testing.assert_array_equal(splits.assign(NAMES, UNKNOWN, 5), np.arange(20) // 4)
    np.testing.assert_array_equal(splits.assign(NAMES[:3], UNKNOWN[:3], 5), [0, 1, 2])


@pytest.mark.parametrize("known", [False, True])
def test_versions_of_one_picture_stay_together(known):
    names = [f"{n}_jpg.rf.{version * 8}" for n in range(5) for version in "abcd"]
    recordings = [name[0] if known and name < "2" else "" for name in names]
    parted = splits.assign(names, recordings, 3)
    assert parted.max() == 2
    assert len({(name[0], fold) for name, fold in zip(names, parted, strict=True)}) == 5


def test_versions_of_one_picture_alone_are_parted_to_choose_settings_on():
    names = [f"{n}_jpg.rf.{version * 8}" for n in range(2) for version in "abcd"]
    for cell in splits.cells(names, [""] * 8, (0,), 2, 1):
        assert all(len(part) for part in cell.inner)


def test_recordings_fill_folds_evenly():
    recordings = ["long"] * 10 + ["b"] * 4 + ["c"] * 3 + ["d"] * 3
    parted = splits.assign(NAMES, recordings, 3)
    assert sorted(np.bincount(parted)) == [4, 6, 10]
    assert splits.assign(NAMES, recordings, 9).max() == 3  # as many folds as recordings


def test_too_many_labels_and_too_few_are_told():
    for labels in (17, 1):  # of one picture none is left to choose settings on
        with pytest.raises(DataError, match=rf"--labels={labels}: .* 16 .* are left .* 2 to 16"):
            list(splits.cells(NAMES, UNKNOWN, (labels,), 5, 1))
