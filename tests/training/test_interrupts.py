"""Signals: noted once, handed to whoever runs the run, and fatal only when meant twice."""

import os
import signal

import pytest

from geoseg_jax.training import interrupts
from geoseg_jax.training.interrupts import Interrupts, noted


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_a_signal_is_noted_by_the_run_and_by_whoever_runs_it(capsys):
    before = [signal.getsignal(number) for number in interrupts.HANDLED]
    with noted() as received:
        with Interrupts() as run:
            run.arm()
            send()
            assert run.received == signal.SIGTERM
        assert received == [signal.SIGTERM]
        send(signal.SIGINT)  # between two runs: no KeyboardInterrupt
        assert received == [signal.SIGTERM, signal.SIGINT]
    assert [signal.getsignal(number) for number in interrupts.HANDLED] == before
    assert "finishing the step" in capsys.readouterr().out


def test_told_twice_at_once_it_saves_and_told_again_it_does_not(monkeypatch):
    ended, now = [], [100.0]
    monkeypatch.setattr(interrupts.os, "_exit", ended.append)
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    with Interrupts() as run:
        run.arm()
        send()
        now[0] += 0.5  # a terminal and a parent, each of which told it
        send()
        assert not ended
        now[0] += 1.0
        send()
    assert ended == [143]


def test_before_the_first_step_it_ends_at_once():
    with noted() as received, pytest.raises(SystemExit) as stopped, Interrupts():
        send()
    assert stopped.value.code == 143
    assert received == [signal.SIGTERM]


def test_a_closed_session_is_noted_unless_it_is_ignored():
    with noted() as received:
        send(signal.SIGHUP)
    assert received == [signal.SIGHUP]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with noted() as received, Interrupts() as run:
            run.arm()
            send(signal.SIGHUP)
            assert run.received == 0
        assert received == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
