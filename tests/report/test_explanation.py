"""What the text below a report's tables says of them."""

from geoseg_jax.report.explanation import _can_be_shown


def test_only_comparisons_that_were_made_are_corrected_for():
    """Of seven pairs p can be 1/64: of three comparisons .047, of four .063."""
    assert _can_be_shown([{"units": 7}, {"units": 7}, {"units": 5}, {"units": 0}])
    assert not _can_be_shown([{"units": 7}] * 4)
    assert not _can_be_shown([{"units": 0}])
