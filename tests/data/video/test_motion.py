"""Motion of known size, halts, cuts, and things that pass a standing camera."""

import functools

import numpy as np
import pytest

from geoseg_jax.data.video import motion
from tests.data.fabricate_video import WIDTH, frame


def kept(frames, least):
    return motion.moving([functools.partial(lambda f: f, f) for f in frames], least, "test")


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_motion_is_a_share_of_the_width(shift):
    before, after = (motion._small(frame(s)) for s in (0.0, shift))
    assert motion.motion_between(before, after) == pytest.approx(shift / WIDTH, rel=0.05)


def test_a_halt_vanishes_and_a_slow_ride_gets_neighbours_as_far_apart_as_a_fast_one():
    slow = np.arange(0, 6, 0.5)
    halt = np.full(20, 6.0)
    fast = np.arange(8, 20, 2)
    frames = [frame(shift) for shift in (*slow, *halt, *fast)]
    places = [index for index, shot in kept(frames, 1.9 / WIDTH)]
    assert places == [0, 4, 8, 12, *range(32, 38)]


def test_things_that_pass_a_standing_camera_are_no_motion():
    still = frame(0)
    passing = []
    for place in range(0, 40, 8):
        picture = still.copy()
        picture[10:30, place : place + 20] = frame(5 * place, seed=3)[10:30, :20]
        passing.append(picture)
    assert kept(passing, 1 / WIDTH) == [(0, 0)]


def test_a_cut_begins_another_shot():
    frames = [frame(s, seed) for seed in (0, 1) for s in (0, 2, 4)]
    assert kept(frames, 1 / WIDTH) == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]


def test_where_nothing_can_be_tracked_nothing_is_left_out():
    assert len(kept([np.zeros((40, 60, 3), np.uint8)] * 3, 0.5)) == 3
