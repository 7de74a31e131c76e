"""The command line: flags, one-line errors, exit codes."""

import os
import pathlib
import subprocess
import sys
from logging import LogRecord

import pytest
from absl import flags

from geoseg_jax import main
from geoseg_jax.config import command_line
from geoseg_jax.core.nested import flatten
from geoseg_jax.training import compile_cache, loop, sharding

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse(monkeypatch, capsys, *arguments):
    """Exit code and standard error of parsing the flags, in this process."""
    monkeypatch.setattr(sys, "argv", ["main", *arguments])
    try:
        with pytest.raises(SystemExit) as stopped:
            main.parse(sys.argv)
    finally:
        flags.FLAGS.unparse_flags()
    return stopped.value.code, capsys.readouterr().err


QUICK = "--config=configs/quickstart.py"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [QUICK, "--workdir=w", "--config.train.stps=1"],
            "config.train.stps: 'stps' is not a setting there; did you mean 'steps'?",
        ),
        (["--workdir=w", "--config.trian.steps=1", QUICK], "'trian' is not a setting there"),
        ([QUICK, "--workdir=w", "--config.task.queue=1"], "'queue' is not a setting there"),
        ([QUICK, "--workdir=w", "--config.task.name.x=1"], "'x' is not a setting there"),
        (["--config=configs/study_quick.py", "--workdir=w"], "is a study; python -m geoseg_jax.st"),
        (["--config", "configs/study_quick.py", "--workdir=w"], "is a study"),
        ([QUICK, "--workdir=w", "--config.train.steps=many"], "--config.train.steps=many"),
        ([QUICK, "--workdir=w", "more"], "unknown: more"),
        ([QUICK], "--workdir=FOLDER"),
        (["--config=configs/quikstart.py", "--workdir=w"], "did you mean 'configs/quickstart.py'"),
        (["--config=configs/depth_kitti.py:mno", "--workdir=w"], "'mno' is none of"),
        (["--config=configs/segment_kitti.py:fold=x", "--workdir=w"], "error: segment_kitti.py:"),
        (["--workdr=w"], "Did you mean: workdir"),
    ],
)
def test_errors_on_the_command_line_are_one_line(arguments, said, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, text = parse(monkeypatch, capsys, *arguments)
    assert code == 1
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert said in text


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (
            "--config.optimizer.name=adm",
            "config.optimizer.name='adm' must be 'adam', 'adamw' or 'sgd'; did you mean 'adam'?",
        ),
        (
            "--config.train.steps=20",
            "config.optimizer.warmup_steps=20 must be below config.train.steps=20, or the learning "
            "rate never reaches its peak; set it to 1",
        ),
    ],
)
def test_bad_values_in_a_process_of_its_own(flag, said, tmp_path):
    command = [sys.executable, "-m", "geoseg_jax.main", QUICK, f"--workdir={tmp_path / 'w'}"]
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [*command, flag],
        env=settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == f"error: {said}\n"
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("flag", ["--debug", "--debug=true", "-debug"])
def test_with_debug_the_error_itself_is_raised(flag, monkeypatch):
    monkeypatch.setattr(flags.FLAGS["debug"], "value", False)
    try:
        flags.FLAGS(["main", flag])
        with pytest.raises(ValueError, match="seen"):
            command_line.fail(ValueError("seen"))
    finally:
        flags.FLAGS.unparse_flags()


def test_print_config_tells_each_value_and_where_it_came_from(tmp_path):
    command = [sys.executable, "-m", "geoseg_jax.main", "--print_config"]
    command += ["--config=configs/depth_kitti.py:mono,seed=3", "--config.train.steps=500"]
    result = subprocess.run(
        [*command, "--config.data.height=192"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not result.stderr
    lines = result.stdout.splitlines()
    assert "config.seed = 3  # option mono,seed=3" in lines
    assert "config.data.stereo = False  # option mono,seed=3" in lines
    assert "config.data.frames = (-1, 1)  # file" in lines
    assert "config.train.steps = 500  # flag" in lines
    assert "config.data.height = 192  # flag" in lines  # though the file has the same
    assert "config.task.name = 'selfsup_depth'  # file" in lines
    assert not list(tmp_path.iterdir())


def test_the_options_of_a_config_are_listed(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["main", "--config=configs/depth_kitti.py:mono,help"])
    with pytest.raises(SystemExit) as stopped:
        main.parse(sys.argv)
    assert stopped.value.code == 0
    said = capsys.readouterr()
    assert "views=mono_stereo  what teaches" in said.out
    assert not said.err


def test_a_batch_for_each_device(monkeypatch, tmp_path):
    seen = []

    def run(config, workdir):
        seen.append((config.train.batch_size, workdir))
        return loop.Result(1, {}, 0)

    monkeypatch.setattr(sys, "argv", ["main", QUICK, "--workdir=w", "--batch_per_device=3"])
    monkeypatch.setattr(loop, "run", run)
    monkeypatch.setattr(sharding, "start", lambda *_: None)
    monkeypatch.setattr(compile_cache, "keep_compiled", lambda: "")
    monkeypatch.setattr(main, "quieten", lambda: None)
    try:
        main.parse(sys.argv)
        with pytest.raises(SystemExit) as ended:
            main.main([])
    finally:
        flags.FLAGS.unparse_flags()
        flags.FLAGS["batch_per_device"].unparse()
    assert ended.value.code == 0
    assert seen == [(24, "w")]  # on eight devices


def test_main_is_trivial():
    assert len((ROOT / "geoseg_jax/main.py").read_text().splitlines()) < 80


def test_what_threads_say_of_a_loop_that_is_closed_is_left_out(monkeypatch, capsys):
    """After a write that failed, which is told by itself; anything else is shown."""

    class Raises:
        def __init__(self, words):
            self.words = words

        def __del__(self):
            raise RuntimeError(self.words)

    monkeypatch.setattr(sys, "unraisablehook", command_line.show_unraisable)
    for words in ("Event loop is closed", "another"):
        Raises(words)
    text = capsys.readouterr().err
    assert "RuntimeError: another" in text
    assert "Event loop" not in text


@pytest.mark.parametrize(
    "words",
    [
        ["--config.train.micro_batches=2"],
        ["--config.train.micro_batches", "2"],
        ["--config.train={'micro_batches': 2}"],
    ],
)
def test_a_setting_that_the_file_leaves_out_can_be_given(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main", QUICK, "--workdir=w", *words])
    try:
        command_line.parse(sys.argv)
        assert command_line.CONFIG.value.train.micro_batches == 2
    finally:
        flags.FLAGS.unparse_flags()


def test_of_a_setting_given_twice_the_last_counts(monkeypatch):
    first = ["--config.data.crop=(3, 4)", "--config.data.scale", "(1, 2)", "--config.data.flip"]
    first += ["--config.data.subset", "2"]
    last = ["--config.data.crop", "(5, 6)", "--workdir=w", "--config.data.scale=()"]
    last += ["--config.data.subset", "-1"]
    words = ["main", *first, *last, f"--config={ROOT}/configs/segment_camvid.py"]
    monkeypatch.setattr(sys, "argv", words)
    try:
        command_line.parse(sys.argv)
        data = command_line.CONFIG.value.data
        assert (data.crop, data.scale, data.flip, data.subset) == ((5, 6), (), True, -1)
    finally:
        flags.FLAGS.unparse_flags()


def overridden(monkeypatch, *arguments):
    """The settings of a study by these words, by keys with dots."""
    words = ["study", f"--config={ROOT}/configs/study_folder.py", "--workdir=w", *arguments]
    monkeypatch.setattr(sys, "argv", words)
    try:
        command_line.parse(sys.argv, open_sections=("target.set", "pretraining"), study=True)
        assert sys.argv == words  # for the report, and for the commands of jobs
        return flatten(command_line.CONFIG.value)
    finally:
        flags.FLAGS.unparse_flags()


def test_what_a_study_sets_is_added_to_and_never_dropped(monkeypatch):
    usual = overridden(monkeypatch)
    for words in (
        ["--config.target.set.train.steps=40", "--config.pretraining.train.batch_size", "2"],
        ["--config.target.set={'train': {'steps': 40}}", "--config.pretraining.train.batch_size=2"],
    ):
        changes = {"target.set.train.steps": 40, "pretraining.train.batch_size": 2}
        assert overridden(monkeypatch, *words) == usual | changes
    found = overridden(monkeypatch, "--config.factors={'labels': (8, 0), 'encoder': ('tiny',)}")
    assert found == usual | {"factors.labels": [8, 0], "factors.encoder": ["tiny"]}


def test_a_value_of_another_kind_is_one_line(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        overridden(monkeypatch, "--config.target.set.train.steps=many")
    assert "error: --config.target.set.train.steps='many': " in capsys.readouterr().err


def test_what_many_jobs_would_repeat_is_logged_once():
    is_new = command_line.each_once()
    records = [LogRecord("absl", 20, "a.py", 1, "%d records", (n,), None) for n in (1, 2, 1)]
    assert [is_new(record) for record in records] == [True, True, False]
