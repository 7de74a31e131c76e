"""Runs whose workdir is a bucket: what is there after deaths, other machines, and no network.

On a stand-in (tests/stand_in_bucket.py); no real bucket was asked.
"""

import contextlib
import importlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training import buckets, checkpoints, intact, loop
from geoseg_jax.training.programs import Programs
from tests import stand_in_bucket, tiny
from tests.stand_in_bucket import Died

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ADDRESS = "gs://bucket/run"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def bucket(tmp_path):
    """The stand-in; its run lies in bucket.folder / 'bucket' / 'run'."""
    return stand_in_bucket.use(tmp_path / "buckets")


@pytest.fixture
def there(bucket):
    return bucket.folder / "bucket" / "run"


@pytest.fixture
def machine(tmp_path):
    """name -> a machine's folder, which `mirrored` expects to be there."""

    def make(name):
        (tmp_path / name / "run").mkdir(parents=True, exist_ok=True)
        return tmp_path / name / "run"

    return make


def save(folder, step, content="numbers"):
    """A checkpoint as the loop leaves it, without orbax."""
    made = folder / "checkpoints" / str(step)
    for name, text in (("state/a", content), ("state/d/b", f"{step}"), ("meta/metadata", "{}")):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    (made / "meta/metadata").write_text(json.dumps({intact.HASHED: True, "step": step}))
    intact.write_hashes(made)


def log(folder, text):
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(text)


def files(folder):
    """Name -> content of all that is mirrored."""
    own = {buckets.MARK, buckets.STATE, "run.lock"}
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in own}


def intact_steps(folder):
    steps = checkpoints.steps_in(folder / "checkpoints")
    return [s for s in steps if not intact.damage(folder / "checkpoints" / str(s))]


def test_the_bucket_is_kept_equal(bucket, there, machine):
    folder = machine("a")
    with buckets.mirrored(ADDRESS, folder) as push:
        (folder / "run.lock").write_text("me")
        (folder / ".config.json.partial-a-1").write_text("{")
        (folder / "checkpoints" / "20.orbax-checkpoint-tmp-3").mkdir(parents=True)
        (folder / "checkpoints" / "20.orbax-checkpoint-tmp-3" / "a").write_text("half")
        (folder / "manifest.json").write_text("{}")
        (folder / "eval.json").write_text("{}")
        log(folder, "10\n")
        save(folder, 10)
        push()
        order = [name.removeprefix("bucket/run/") for _, name in bucket.done]
        assert order[0] == "metrics.jsonl"
        assert sorted(order[1:4]) == [
            f"checkpoints/10/{n}" for n in ("meta/metadata", "state/a")
        ] + ["checkpoints/10/state/d/b"]
        assert order[4:] == ["checkpoints/10/sha256.json", "eval.json", "manifest.json"]
        mirrored = files(folder)
        del mirrored[".config.json.partial-a-1"]
        del mirrored["checkpoints/20.orbax-checkpoint-tmp-3/a"]
        assert files(there) == mirrored
        bucket.done.clear()
        push()
        assert not bucket.done  # nothing is new
        shutil.rmtree(folder / "checkpoints")
        (folder / ".config.json.partial-a-1").unlink()
        log(folder, "20\n")
        save(folder, 20)
    changes = [(what, name.removeprefix("bucket/run/")) for what, name in bucket.done]
    assert changes[0] == ("put", "metrics.jsonl")
    removed = [name for what, name in changes if what == "rm"]
    assert removed[0] == "checkpoints/10/sha256.json"
    assert changes[-len(removed) :] == [("rm", name) for name in removed]  # after all that is new
    assert files(there) == files(folder)


def test_a_fresh_machine_has_all_of_it(bucket, there, machine, capsys):
    with buckets.mirrored(ADDRESS, machine("a")):
        log(machine("a"), "10\n")
        save(machine("a"), 10)
    (there / "notes.txt").write_text("of somebody else")
    with buckets.mirrored(ADDRESS, machine("b")):
        assert files(machine("b")) == files(machine("a")) | {"notes.txt": b"of somebody else"}
        log(machine("b"), "20\n")
    assert "6 files fetched" in capsys.readouterr().out
    assert files(there) == files(machine("b"))
    assert not list(machine("b").parent.glob("run.*"))


def test_a_machine_goes_on_with_what_it_could_not_push(bucket, there, machine, capsys):
    """Nothing of it is fetched, and what the bucket has is not pushed again."""
    folder = machine("a")
    with buckets.mirrored(ADDRESS, folder):
        log(folder, "10\n")
        save(folder, 10)
    (there / "notes.txt").write_text("of somebody else")
    save(folder, 20)  # killed before it was pushed
    capsys.readouterr()
    bucket.done.clear()
    with buckets.mirrored(ADDRESS, folder):
        assert intact_steps(folder) == [10, 20]
    assert "0 files fetched" in capsys.readouterr().out
    assert {name.split("/")[3] for _, name in bucket.done} == {"20"}
    assert intact_steps(there) == [10, 20]
    assert (there / "notes.txt").exists()


def aside(folder):
    (found,) = folder.parent.glob("run.aside*")
    return found


def test_what_another_machine_has_pushed_is_taken_and_the_own_put_aside(
    bucket, there, machine, capsys
):
    a, b = machine("a"), machine("b")
    with buckets.mirrored(ADDRESS, a):
        save(a, 10)
    save(a, 20, "never pushed")
    with buckets.mirrored(ADDRESS, b):
        save(b, 20)
        save(b, 30)
    capsys.readouterr()
    with buckets.mirrored(ADDRESS, a):
        assert files(a) == files(b)
        assert intact_steps(a) == [10, 20, 30]
        assert intact_steps(aside(a)) == [10, 20]
        assert (aside(a) / "checkpoints/20/state/a").read_text() == "never pushed"
    assert f"the copy is now {aside(a)}" in capsys.readouterr().out
    assert intact_steps(there) == [10, 20, 30]


def test_an_emptied_bucket_and_a_damaged_copy_lose_nothing(bucket, there, machine):
    a, b = machine("a"), machine("b")
    for folder in (a, b):
        with buckets.mirrored(ADDRESS, folder):
            save(folder, 10)
        shutil.rmtree(there)
        with buckets.mirrored(ADDRESS, folder):
            assert not files(folder)  # starts over
        assert intact_steps(aside(folder)) == [10]
        shutil.rmtree(there)
        shutil.rmtree(aside(folder))
    with buckets.mirrored(ADDRESS, a):
        save(a, 10)
        save(a, 20)
    (a / "checkpoints/20/state/a").write_text("Numbers")  # the disk forgets
    with buckets.mirrored(ADDRESS, a):
        assert intact_steps(a) == [10, 20]
    shutil.rmtree(a / "checkpoints")  # to make room
    with buckets.mirrored(ADDRESS, a):
        assert intact_steps(a) == [10, 20]
    assert intact_steps(there) == [10, 20]


def test_the_run_that_was_started_last_has_the_bucket(bucket, there, machine, capsys):
    a, b = machine("a"), machine("b")
    with contextlib.ExitStack() as both:
        push = both.enter_context(buckets.mirrored(ADDRESS, a))
        save(a, 10)
        push()
        with buckets.mirrored(ADDRESS, b):
            save(b, 20)
        before = files(there)
        save(a, 20, "another's")
        with pytest.raises(buckets.TakenError) as error:
            push()
        with pytest.raises(buckets.TakenError):
            both.close()  # as does a run that comes to its end
    assert f"now that of process {os.getpid()} on " in str(error.value)
    assert str(a) in str(error.value)
    assert files(there) == before
    assert intact_steps(a) == [10, 20]  # still here


def test_a_death_amid_any_push_loses_no_checkpoint(bucket, there, machine, tmp_path, capsys):
    """After each single change of a push of a new checkpoint and the removal of an old one."""
    first = machine("first")
    with buckets.mirrored(ADDRESS, first):
        log(first, "10\n")
        save(first, 10)
        save(first, 20)
    whole = tmp_path / "whole"
    shutil.copytree(there, whole)
    newest, changes = [], 0
    while True:
        shutil.rmtree(there)
        shutil.copytree(whole, there)
        dying, fresh = machine(f"dying{changes}"), machine(f"fresh{changes}")
        bucket.done.clear()
        try:
            with buckets.mirrored(ADDRESS, dying):
                log(dying, "30\n")
                save(dying, 30)
                (dying / "manifest.json").write_text('{"step": 30}')
                shutil.rmtree(dying / "checkpoints/10")
                bucket.dies_after = changes
        except Died:
            dead = True
        else:
            dead = False
        bucket.dies_after = None
        with buckets.mirrored(ADDRESS, fresh):
            newest.append(intact_steps(fresh)[-1])
            half_hashes = changes == 4  # there, and told by what they hold when it restores
            steps = checkpoints.steps_in(fresh / "checkpoints")
            assert (steps[-1] == newest[-1]) != half_hashes
            if (fresh / "manifest.json").exists():
                assert newest[-1] == 30
        assert half_hashes or intact_steps(there) == checkpoints.steps_in(there / "checkpoints")
        if not dead:
            break
        changes += 1
    assert changes == len(bucket.done) == 10  # 1 log, 4 files of 30, 1 manifest, 4 files of 10
    assert newest == [20] * 5 + [30] * 6
    assert "checkpoint 30 is but half there, and passed over" in capsys.readouterr().out


def test_the_first_checkpoint_but_half_there_starts_over(bucket, there, machine):
    bucket.dies_after = 2
    with pytest.raises(Died), buckets.mirrored(ADDRESS, machine("a")):
        save(machine("a"), 10)
    assert checkpoints.steps_in(there / "checkpoints") == [10]
    bucket.dies_after = None
    with buckets.mirrored(ADDRESS, machine("b")):
        assert checkpoints.steps_in(machine("b") / "checkpoints") == []
        save(machine("b"), 10)
    assert intact_steps(there) == [10]


def test_without_a_network_the_training_goes_on(bucket, there, machine, capsys):
    folder = machine("a")
    bucket.fails = True
    with contextlib.ExitStack() as run:
        push = run.enter_context(buckets.mirrored(ADDRESS, folder))
        save(folder, 10)
        push()
        said = capsys.readouterr().out
        assert f"{ADDRESS} can't be written; all is in {folder}" in said
        assert "(ConnectionError: no answer from the server); tried again after" in said
        with pytest.raises(buckets.BucketError, match="can't be written") as error:
            run.close()
    assert "\n" not in str(error.value)
    for network in (False, True):  # an error of the training is what is told, pushed or not
        bucket.fails = not network
        with pytest.raises(KeyError), buckets.mirrored(ADDRESS, folder):
            raise KeyError
        assert intact_steps(folder) == [10]
        assert intact_steps(there) == ([10] if network else [])


def test_a_copied_run_goes_on_and_another_folder_is_refused(bucket, there, machine, capsys):
    """A run of an older version has no hashes, and is taken as it is."""
    save(there, 10)
    (there / "checkpoints/10/sha256.json").unlink()
    (there / "run.lock").write_text("of a copied folder")
    with buckets.mirrored(ADDRESS, machine("a")):
        assert checkpoints.steps_in(machine("a") / "checkpoints") == [10]
        assert not (machine("a") / "run.lock").exists()
    shutil.rmtree(there)
    (there / "video").mkdir(parents=True)
    (there / "video" / "0.png").write_text("")
    with (
        pytest.raises(ConfigError, match=f"{ADDRESS} holds no run, but video/0.png; name a folder"),
        buckets.mirrored(ADDRESS, machine("b")),
    ):
        pass
    assert files(there) == {"video/0.png": b""}


def test_names_that_lead_elsewhere_are_not_fetched(bucket, machine, monkeypatch):
    found = ["config.json", "../../stolen", "checkpoints/../../x"]
    root = str(bucket.folder / "bucket/run")
    monkeypatch.setattr(bucket, "find", lambda *_, **__: [f"{root}/{name}" for name in found])
    (bucket.folder / "bucket/run").mkdir(parents=True)
    (bucket.folder / "bucket/run/config.json").write_text("{}")
    with buckets.mirrored(ADDRESS, machine("a")):
        assert list(files(machine("a"))) == ["config.json"]


@pytest.mark.parametrize("address", ["https://h/x", "gs://", "hdfs://host/run", "file:///x"])
def test_other_addresses_are_refused(address):
    with pytest.raises(ConfigError, match=r"--workdir=.* is neither gs://BUCKET/RUN nor.*mount"):
        buckets.place(address)


def test_several_processes_are_told_to_mount(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    with pytest.raises(ConfigError, match=r"=gs://b/run is for one process, .* has 4, .*mount"):
        buckets.place(pathlib.Path("gs://b/run"))
    assert buckets.place("w") == ("", pathlib.Path("w").absolute())


def test_each_address_has_a_folder_of_its_own(bucket, tmp_path):
    given = ["gs://b/run", "gs://b_run", "gs://b/run_", "gs://b/run/"]
    made = [buckets.place(address)[1] for address in given]
    assert made[0] == made[3]
    assert len(set(made)) == 3
    assert {path.parent for path in made} == {tmp_path / "cache" / "geoseg_jax" / "buckets"}
    assert made[0].name.startswith("b_run-")


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("s3", "s3fs")])
def test_a_missing_package_is_one_line(scheme, package, monkeypatch, tmp_path):
    known = importlib.import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, scheme, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"={scheme}://b/run needs {package}, .*; pip install 'geoseg_jax\[\w+\]'"
    with pytest.raises(ConfigError, match=message) as error:
        loop.run(tiny.make_config(), f"{scheme}://b/run", tiny.TinyTask(), tiny.make_data())
    assert "\n" not in str(error.value)


SETTINGS = {"train__steps": 6, "train__checkpoint_every": 2, "train__log_every": 1}
SETTINGS |= {"train__eval_every": 3, "train__pictures_every": 0, "train__best_metric": ""}


def numbers(workdir):
    timed = ("examples_per_second", "seconds_left", "data_wait_share")
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


def test_a_killed_machine_and_its_disk_are_made_up_for_by_the_bucket(
    bucket, there, tmp_path, monkeypatch, capsys
):
    """A process that is killed, a start that is stopped, one that finishes; each on a new disk."""
    command = [sys.executable, str(ROOT / "tests/tiny.py"), f"--workdir={ADDRESS}", "--slow=0.03"]
    command += [f"--bucket={bucket.folder}", "--devices=1"]
    command += [f"--set={key}={value!r}" for key, value in SETTINGS.items()]
    machine = {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "8"}
    machine["XDG_CACHE_HOME"] = str(tmp_path / "lost")
    with subprocess.Popen(
        command, env=os.environ | machine, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        pushed = there / "checkpoints/2/sha256.json"
        while process.poll() is None and not pushed.exists():
            time.sleep(0.01)
        process.kill()
        said = process.stdout.read()
    assert process.returncode == -signal.SIGKILL, said
    assert not (tmp_path / "gs:").exists()
    shutil.rmtree(tmp_path / "lost")

    programs, one = Programs(), jax.devices()[:1]

    def start(workdir, disk):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / disk))
        task, data = tiny.TinyTask(holds=()), tiny.make_data()
        return loop.run(tiny.make_config(**SETTINGS), workdir, task, data, one, programs=programs)

    advance = loop.Loop._advance

    def advance_and_stop(self):
        advance(self)
        if self.status.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "_advance", advance_and_stop)
        result = start(ADDRESS, "second")
    said = capsys.readouterr().out
    assert "going on from step" in said
    assert result.signal == signal.SIGTERM
    assert checkpoints.steps_in(there / "checkpoints")[-1] == result.step
    damaged = there / f"checkpoints/{result.step}/meta/metadata"
    damaged.unlink()  # as by a push that a machine did not outlive
    result = start(ADDRESS, "third")
    said = capsys.readouterr().out
    assert "meta/metadata is missing; an older one is taken" in said
    assert "going on from step 4" in said
    assert result.step == 6
    start(tmp_path / "straight", "none")
    assert numbers(there) == numbers(tmp_path / "straight")
    ours, theirs = (
        json.loads((workdir / "manifest.json").read_text())
        for workdir in (there, tmp_path / "straight")
    )
    assert ours["parameters_sha256"] == theirs["parameters_sha256"]
    capsys.readouterr()
    assert start(ADDRESS, "fourth").evaluation == result.evaluation  # finished, on a new disk too
    assert "this run is finished" in capsys.readouterr().out
