"""Numbers as text, by hand."""

import math

import pytest

from geoseg_jax.core import formats


@pytest.mark.parametrize(
    ("value", "signed"),
    [(0.0321, "+3.2"), (-0.0321, "−3.2"), (-0.0001, "0.0"), (0.0, "0.0"), (None, "–")],
)
def test_points(value, signed):
    assert formats.points(value, sign=True) == signed
    assert formats.points(value) == signed.lstrip("+")
    assert formats.points(0.12345, digits=2) == "12.35"


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (formats.p_value, {0.25: "0.25", 0.0625: "0.062", 0.0012: "0.0012", 0.0004: "< 0.001"}),
        (formats.equals, {0.0625: "= 0.062", 0.0004: "< 0.001"}),
        (formats.number, {0.39: "0.39", 0.30712: "0.3071", 12.0: "12"}),
        (formats.decimal, {0.954: "0.95", 1.0: "1.00"}),
        (formats.ratio, {0.391: "0.39", 8.0: "8", 36.9: "37", 124.2: "124"}),
        (formats.count, {0: "0", 12000: "12,000", 1499.6: "1,500"}),
        (
            formats.flop,
            {0: "0 FLOP", 7.3e14: "730 TFLOP", 9.996e11: "1 TFLOP"},
        ),
        (formats.duration, {12.4: "12 s", 125: "2 min 05 s", 3900: "1 h 05 min"}),
    ],
)
def test_numbers(make, wanted):
    assert {value: make(value) for value in wanted} == wanted
    if make is not formats.equals:
        assert make(None) == make(math.nan) == "–"


def test_phrases():
    assert formats.interval(-0.02, 0.08) == "−2.0 to +8.0"
    assert formats.interval(None, None) == ""
    assert [formats.count(n, "seed") for n in (1, 3)] == ["1 seed", "3 seeds"]
    assert [formats.listed(list("abc"[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
