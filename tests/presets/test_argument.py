"""Options behind a config file's colon: types, near misses, sizes."""

import pytest

from geoseg_jax.presets.argument import parse, size

DEFAULTS = {"init": "", "labels": 16, "scale": 1.0, "frozen": False, "decoder": ("unet", "linear")}


def test_options_have_the_types_of_their_defaults():
    assert parse("", DEFAULTS, "a.py") == parse(None, DEFAULTS, "a.py")
    assert parse("", DEFAULTS, "a.py")["decoder"] == "unet"
    arg = "init=runs/a=b,labels=8,scale=0.5,frozen=True,decoder=linear"
    assert parse(arg, DEFAULTS, "a.py") == {
        "init": "runs/a=b",
        "labels": 8,
        "scale": 0.5,
        "frozen": True,
        "decoder": "linear",
    }
    assert parse("frozen", DEFAULTS, "a.py")["frozen"] is True


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("label=8", "'label' is none of init, labels, .*did you mean 'labels'"),
        ("labels=many", "a.py:labels='many' must be an integer, like 16"),
        ("labels", "a.py:labels='True'"),
        ("frozen=yes", "a.py:frozen='yes' must be True or False"),
        ("decoder=unetd", "a.py:decoder='unetd' is none of unet, linear"),
    ],
)
def test_what_is_no_option(arg, message):
    with pytest.raises(ValueError, match=message):
        parse(arg, DEFAULTS, "a.py")


def test_sizes_are_width_first():
    assert size("640x192", "resolution") == (192, 640)
    for wrong in ("640", "640x", "x192", "0x32", "640x192x3", "-1x2"):
        with pytest.raises(ValueError, match=r"must be WIDTHxHEIGHT"):
            size(wrong, "resolution")
