"""Options behind a config file's colon: types, near misses, sizes."""

import re

import pytest

from geoseg_jax.config import files
from geoseg_jax.config.settings import config_files
from geoseg_jax.presets.argument import Help, Option, override, parse, size

DEFAULTS = {
    "init": Option("", "where it starts"),
    "labels": Option(16, "labelled pictures"),
    "scale": Option(1.0, "of pictures"),
    "frozen": Option(False, "stays as it is"),
    "decoder": Option(("unet", "linear"), "of maps"),
}


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


def test_other_defaults_keep_their_meaning():
    changed = override(DEFAULTS, {"labels": 8, "decoder": "linear", "more": Option(2, "new")})
    assert changed["labels"] == Option(8, "labelled pictures")
    assert changed["decoder"] == Option(("linear", "unet"), "of maps")
    assert list(changed) == [*DEFAULTS, "more"]
    assert DEFAULTS["labels"].default == 16


def test_help_is_one_line_an_option():
    with pytest.raises(Help) as asked:
        parse("labels=8,help", DEFAULTS, "a.py")
    assert str(asked.value).splitlines()[1:] == [
        "  init=         where it starts",
        "  labels=16     labelled pictures",
        "  scale=1.0     of pictures",
        "  frozen=False  stays as it is",
        "  decoder=unet  of maps",
        "                one of unet, linear",
    ]


@pytest.mark.parametrize("name", [path.name for path in config_files()])
def test_every_config_lists_its_options(name):
    with pytest.raises(Help) as asked:
        files.load(f"configs/{name}:help")
    first, *lines = str(asked.value).splitlines()
    if name == "quickstart.py":
        assert first == "quickstart.py has no options"
        return
    assert f" {name}:NAME=VALUE" in first
    options = [line.split("=")[0].strip() for line in lines if line[:3].strip()]
    # These are the options, and no others: none is refused as unknown.
    assert options
    with pytest.raises(ValueError, match="is none of") as refused:
        files.load(f"configs/{name}:no_such_option=1")
    known = re.sub(r" \([^)]*\)", "", str(refused.value).partition("is none of ")[2])
    assert set(options) == set(known.partition(";")[0].split(", "))
    assert all(len(line) <= 100 for line in lines)
    assert not any(line.rstrip().endswith("=") for line in lines)  # without a meaning


def test_sizes_are_width_first():
    assert size("640x192", "resolution") == (192, 640)
    for wrong in ("640", "640x", "x192", "0x32", "640x192x3", "-1x2"):
        with pytest.raises(ValueError, match=r"must be WIDTHxHEIGHT"):
            size(wrong, "resolution")
