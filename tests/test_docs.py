"""The pages made from the code are up to date, and links lead somewhere."""

import importlib.util
import pathlib

import pytest

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
