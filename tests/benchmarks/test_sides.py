"""Sides of a benchmark in processes of their own."""

import contextlib

import pytest

from benchmarks import sides, train_step
from benchmarks.sides import Answer, Side, SideError

MADE = "tests.benchmarks.made_up:Made"


@contextlib.contextmanager
def started(name="a", start=0):
    side = Side(name, MADE, start)
    try:
        yield side
    finally:
        side.close()


def test_sides_keep_their_state_and_their_time():
    with started("a") as a, started("b", 10) as b:
        answers = sides.in_turns([a, b], "step", 2, "steps")
        assert {name: [x.value for x in each] for name, each in answers.items()} == {
            "a": [2, 3],  # the first warmed up
            "b": [12, 13],
        }
        answer = a.ask("work")
        assert answer.cpu_seconds >= 0.05  # what it worked, and no more is said of time
        assert answer.seconds > 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("fail", "^a: fail: RuntimeError: no such thing$"),
        ("die", "^a: its process died in 'die', exit code 7 "),
        ("missing", "^a: missing: AttributeError: "),
    ],
)
def test_a_side_that_fails_says_so_in_one_line(method, message, capfd):
    with started() as side, pytest.raises(SideError, match=message):
        side.ask(method)


def test_a_side_that_can_not_start(capfd):
    with pytest.raises(SideError, match=r"^a: start: ValueError: start is -1$"):
        Side("a", MADE, -1)


def test_figures_are_medians_and_ratios_those_to_the_best():
    times = {"ours": 2.0, "ours_bfloat16": 1.6, "eager": 3.0, "compiled": 2.5}
    times |= {"compiled_bfloat16": 1.2}
    answers = {
        name: [Answer(None, t + d, 2 * t, 0.1) for d in (0.0, 0.5, -0.25)]
        for name, t in times.items()
    }
    figures = sides.summary("step", answers)
    assert figures["step_eager_seconds"] == 3.0
    assert figures["step_eager_range"] == [2.75, 3.5]
    assert figures["step_eager_cores"] == pytest.approx(18 / 9.25)
    found = train_step.ratios("step", figures)
    assert found["step_ratio"] == pytest.approx(2.5 / 2.0)
    assert found["step_eager_ratio"] == pytest.approx(1.5)
    assert found["step_ratio_bfloat16"] == pytest.approx(1.2 / 1.6)
    assert found["step_cpu_ratio"] == pytest.approx(2.5 / 2.0)
    alone = {k: v for k, v in figures.items() if "ours" in k}
    assert train_step.ratios("step", alone) == {}


def test_sides_that_differ_are_not_timed(capsys):
    train_step.require_equal("loss", 1.0, 1.0005, 1e-3)
    with pytest.raises(SideError, match="these are two different computations"):
        train_step.require_equal("loss", 1.0, 1.002, 1e-3)
    with pytest.raises(SideError):
        train_step.require_equal("loss", float("nan"), 1.0, 1e-3)


class Fake:
    """A side whose first step gives a loss and the norm of its gradient."""

    def __init__(self, name, loss, norm):
        self.name, self.start = name, Answer(None, 1.0, 1.0, 0.0)
        self._found = {"step": {"loss": loss}, "gradient_norm": norm}

    def ask(self, method):
        return Answer(self._found.get(method), 1.0, 1.0, 0.0)


def test_a_twin_that_computes_something_else_is_left_out_and_told(capsys):
    ours, same = Fake("ours", 2.0, 5.0), Fake("eager", 2.0001, 5.0)
    other = Fake("compiled_bfloat16", 2.0, 0.0)
    figures = {}
    assert train_step.first_steps([ours, other, same], "cpu", figures) == [ours, same]
    assert "gradient norm differs by" in figures["compiled_bfloat16_error"]
    assert "step_compiled_bfloat16_loss" not in figures
    assert figures["step_eager_gradient_norm"] == 5.0
    assert "two different computations" in capsys.readouterr().out


def test_the_parent_imports_neither_jax_nor_torch():
    import subprocess
    import sys

    program = (
        "import sys; from benchmarks import train_step; train_step.arguments([]); "
        "sys.exit(bool({'jax', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_task_fills_in_what_is_not_given():
    options = train_step.arguments(["--task", "vit", "--batch", "3"])
    filled = train_step.of_task(options, "vit")
    assert (filled.task, filled.encoder, filled.height, filled.batch) == ("vit", "vit_s16", 224, 3)
    assert train_step.arguments(["--task", "all"]).task[-1] == "flow"
    with pytest.raises(SystemExit):
        train_step.arguments(["--task", "vit", "--only", "losses"])
