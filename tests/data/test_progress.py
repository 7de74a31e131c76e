import pytest

from geoseg_jax.data import progress


def test_silent_when_fast(capsys):
    assert list(progress.track(["a", "b"], "reading")) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_lines_in_a_log_when_slow(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SILENT_SECONDS", -1.0)
    assert list(progress.track(range(3), "reading scans")) == [0, 1, 2]
    assert capsys.readouterr().err == "reading scans: 1/3, 0 s left\n"


@pytest.mark.parametrize("stop", [2, 3])
def test_a_bar_on_a_terminal_when_slow(capsys, monkeypatch, stop):
    """Also when the loop is left early."""
    monkeypatch.setattr(progress, "_SILENT_SECONDS", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for item in progress.track(range(4), "reading scans"):
        if item == stop:
            break
    assert "reading scans" in capsys.readouterr().err
