"""The pages made from the code are up to date, and links lead somewhere."""

import importlib.util
import pathlib
import re
import shlex
import sys

import pytest
from absl import flags

import geoseg_jax.main  # noqa: F401, whose flags some commands have
from geoseg_jax.config.command_line import CONFIG, parse
from geoseg_jax.study import __main__ as study

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_are_told_as_they_are_declared(make):
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert text == make.settings_page(), "run `make docs`"
    assert "| `optimizer.clip_norm` |" in text


def test_links_lead_somewhere(make, tmp_path, monkeypatch):
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        assert make.broken(page) == []
    monkeypatch.setattr(make, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](gone.md) [b](#one) [c](#two) [d](https://e.org/x)")
    assert make.broken(page) == ["page.md: gone.md", "page.md: #two"]


def test_messages_are_told_as_the_program_says_them():
    said = "".join(path.read_text("utf-8") for path in (ROOT / "geoseg_jax").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)  # text that is written in several lines
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]*)` \|", page, re.MULTILINE)
    parts = {part.strip() for message in messages for part in message.split("…")} - {""}
    assert len(messages) > 15
    assert [part for part in sorted(parts) if part not in said] == []


def commands():
    """The words of each command of the pages that trains or studies."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
        for line in re.findall(r"^    (python -m geoseg_jax\.(?:main|study) .*)", text, re.M):
            if "..." not in line:
                yield pytest.param(shlex.split(line, comments=True)[2:], id=f"{page.stem}{line}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_are_understood(words, monkeypatch):
    sections = study.SECTIONS if words[0].endswith("study") else ()
    monkeypatch.setattr(sys, "argv", words)
    before = set(flags.FLAGS) - {name for name in flags.FLAGS if name.startswith("config.")}
    for name in set(flags.FLAGS) - before:  # another test's
        delattr(flags.FLAGS, name)
    try:
        parse(sys.argv, open_sections=sections, study=bool(sections))
        assert CONFIG.value
    finally:
        flags.FLAGS.unparse_flags()
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
