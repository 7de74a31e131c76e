"""Training is faked by a function that writes what a run leaves behind, at once."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket

import pytest

from geoseg_jax.study import deaths, gather, records, run
from geoseg_jax.study.attempts import Context, attempt
from geoseg_jax.training.interrupts import Interrupts
from geoseg_jax.training.loop import Result
from geoseg_jax.training.stacked import StackError
from tests.study.tiny_study import plan

QUIET = {"say": lambda text: None}


def fake(config, workdir):
    """A number that depends on the config alone, as that of a real run does."""
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "checkpoints" / "3" / "state").mkdir(parents=True, exist_ok=True)
    start = config.init_from
    assert not start or records.read(type(workdir)(start)).state == records.DONE
    value = random.Random(f"{start[-20:]} {config.seed} {config.data.get('labels')}").random()
    (workdir / "eval.json").write_text(json.dumps({"miou": value, "pixel_accuracy": None}))
    (workdir / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n' + json.dumps({"step": 3, "miou": value}) + "\n"
    )
    return Result(3, {"miou": value}, 0)


def test_every_job_is_done_once_pretrainings_first(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    made, order = plan(tmp_path), []

    def noting(config, workdir):
        order.append(workdir.name)
        result = fake(config, workdir)
        # Its own sum of all starts.
        (workdir / "manifest.json").write_text(json.dumps({"step": 3, "seconds": 3600.5}))
        return result

    assert run.work(made, run.jobs_of(made), run=noting, **QUIET) == run.Ended(0, [])
    assert sorted(order) == sorted(j.id for j in (*made.pretrainings, *made.cells))
    assert run.work(made, run.jobs_of(made), run=noting, **QUIET) == run.Ended(0, [])
    assert len(order) == len(set(order))
    assert records.read(made.cells[0].workdir).seconds == 3600.5
    assert not (made.cells[0].workdir / "checkpoints").exists()
    assert (made.pretrainings[0].workdir / "checkpoints").exists()


def test_a_record_that_is_taken_away_meanwhile_is_made_again(tmp_path):
    """As by --retry on another machine, when its job has failed here."""
    made, tried = plan(tmp_path), []
    jobs = run.jobs_of(made)

    def at_last(config, workdir):
        tried.append(workdir.name)
        if workdir == jobs[0].workdir and tried.count(workdir.name) == 1:
            raise ValueError("once")
        if workdir == jobs[-1].workdir:
            records.forget_failures([jobs[0].workdir])
        return fake(config, workdir)

    ended = run.work(made, jobs, run=at_last, **QUIET)
    assert tried.count(jobs[0].id) == 2
    assert jobs[0].id not in ended.failed


def test_parts_share_the_work_and_need_only_their_pretrainings(tmp_path):
    made = plan(tmp_path)
    parts = [run.jobs_of(made, (i, 3)) for i in range(3)]
    cells = [job.id for part in parts for job in part if job in made.cells]
    assert sorted(cells) == sorted(cell.id for cell in made.cells)
    for part in parts:  # which would each have one arm alone, were every third cell taken
        assert len({cell.factors["arm"] for cell in part if cell in made.cells}) == 3
    count = len(made.cells)
    single = [run.jobs_of(made, (i, count)) for i in range(count)]
    alone = next(part for part in single if part[-1].pretraining == "chain-tiny")
    assert [job.id for job in alone[:-1]] == ["inpainting-tiny", "chain-tiny"]  # the chain's own
    first = run.jobs_of(made, (0, len(made.cells)))
    assert first == [made.cells[0]]  # of random weights


def test_a_failure_is_recorded_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    made = plan(tmp_path)

    def failing(config, workdir):
        if workdir.name == "chain-tiny":
            raise MemoryError("no\nroom")
        return fake(config, workdir)

    ended = run.work(made, run.jobs_of(made), run=failing, **QUIET)
    lost = {cell.id for cell in made.cells if cell.pretraining == "chain-tiny"}
    assert set(ended.failed) == lost | {"chain-tiny"}
    rows = {row["cell"]: row for row in gather.rows(made, "random")}
    assert records.read(made.pretrainings[1].workdir).error == "MemoryError: no room"
    assert "MemoryError" in (made.pretrainings[1].workdir / "error.txt").read_text()
    assert {rows[name]["error"] for name in lost} == {"its pre-training chain-tiny failed"}
    assert all(rows[c.id]["status"] == "done" for c in made.cells if c.id not in lost)
    # And mended on request.
    records.forget_failures([j.workdir for j in (*made.pretrainings, *made.cells)])
    assert run.work(made, run.jobs_of(made), run=fake, **QUIET).failed == []


def test_who_is_waited_for_is_told_once(tmp_path, monkeypatch):
    """Another process holds the pre-training; it ends while this one waits for the third time."""
    made = plan(tmp_path)
    first = made.pretrainings[0]
    jobs = [first, next(cell for cell in made.cells if cell.pretraining == first.id)]
    queues = [multiprocessing.get_context("spawn").Queue() for _ in range(2)]
    other = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(first.workdir, *queues)
    )
    other.start()
    queues[0].get(timeout=60)
    said, naps = [], []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            queues[1].put("end")
            other.join()

    monkeypatch.setattr(run.time, "sleep", nap)
    assert run.work(made, jobs, said.append, fake).failed == []
    waits = [line for line in said if line.startswith("waiting")]
    assert waits == [f"waiting for {first.id} (process {other.pid} on {socket.gethostname()})"]


def _hold(workdir, ready, end):
    with records.lock(workdir):
        ready.put("held")
        end.get()


def test_a_job_that_ends_the_process_again_and_again_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    made = plan(tmp_path)

    job, notes = made.cells[0], {}
    crash, note = (job.workdir.with_name(f"{job.id}.{end}") for end in ("crash.txt", "deaths.json"))

    def run_in_a_process_that_is_killed(crashes):
        """What is on disk afterwards is what was there while it ran."""

        def killed(config, workdir):
            notes["kept"] = note.read_text()
            raise SystemExit(143)

        with pytest.raises(SystemExit):
            run.work(made, [job], run=killed, **QUIET)
        note.write_text(notes["kept"])
        crash.write_text("Fatal Python error: Segmentation fault" if crashes else "")

    for _ in range(2 * deaths.MOST):  # by somebody else
        run_in_a_process_that_is_killed(False)
    assert json.loads(note.read_text())["deaths"] == 0
    for _ in range(deaths.MOST - 1):
        run_in_a_process_that_is_killed(True)
        run_in_a_process_that_is_killed(False)
    run_in_a_process_that_is_killed(True)
    ended = run.work(made, [job], run=fake, **QUIET)
    assert ended.failed == [job.id]
    assert "out of memory 5 times" in records.read(job.workdir).error
    records.forget_failures([job.workdir])
    assert run.work(made, [job], run=fake, **QUIET).failed == []
    assert not note.exists()
    assert not crash.exists()


def test_a_signal_stops_the_study_and_counts_as_no_death(tmp_path):
    made = plan(tmp_path)
    stopped = run.work(made, run.jobs_of(made), run=lambda c, w: Result(1, {}, 15), **QUIET)
    assert stopped.signal == 15
    assert records.read(made.cells[0].workdir) is None
    for _ in range(2 * deaths.MOST):
        run.work(made, run.jobs_of(made), run=lambda c, w: Result(1, {}, 15), **QUIET)
    assert run.work(made, run.jobs_of(made), run=fake, **QUIET).failed == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_reaches_no_training_stops_the_study_too(tmp_path, number):
    made = plan(tmp_path)
    first, second = run.jobs_of(made)[:2]

    def told_at_its_end(config, workdir):
        os.kill(os.getpid(), number)
        return fake(config, workdir)

    def broken_by_it(config, workdir):
        with Interrupts() as interrupts:
            interrupts.arm()
            os.kill(os.getpid(), number)
            raise OSError("the disk is full")

    assert run.work(made, run.jobs_of(made), run=told_at_its_end, **QUIET).signal == number
    assert records.read(first.workdir).state == "done"
    assert not second.workdir.exists()
    assert run.work(made, run.jobs_of(made), run=broken_by_it, **QUIET).signal == number
    assert records.read(second.workdir) is None
    assert run.work(made, run.jobs_of(made), run=fake, **QUIET) == run.Ended(0, [])


def test_killed_at_random_it_gives_the_same_rows(tmp_path):
    whole, broken = plan(tmp_path / "a"), plan(tmp_path / "b")
    run.work(whole, run.jobs_of(whole), run=fake, **QUIET)
    chance = random.Random(0)

    class Killed(BaseException):
        pass

    def mortal(config, workdir):
        if chance.random() < 0.4:
            raise Killed
        return fake(config, workdir)

    kills = 0
    for _ in range(100):
        try:
            run.work(broken, run.jobs_of(broken), run=mortal, **QUIET)
            break
        except Killed:
            kills += 1
    assert kills >= 3
    results = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in gather.rows(made, "random")]
        for made in (whole, broken)
    ]
    assert str(results[0]) == str(results[1])
    assert results[0][0]["curve"] == [(3, results[0][0]["miou"])]


def test_killed_between_the_end_of_a_run_and_its_record(tmp_path, monkeypatch):
    made = plan(tmp_path)
    only = run.jobs_of(made, (0, len(made.cells)))

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    def whole(config, workdir):
        (workdir / "manifest.json").parent.mkdir(parents=True, exist_ok=True)
        split = {"size": 8, "sha256": "s"}
        provenance = {"step": 3, "data": {"train": split, "eval": split}, "git_revision": None}
        provenance["versions"] = {"jax": "1", "geoseg_jax": "0.1"}
        (workdir / "manifest.json").write_text(json.dumps(provenance))
        return fake(config, workdir)

    with monkeypatch.context() as patch:
        patch.setattr(records, "write", killed)
        with pytest.raises(Killed):
            run.work(made, only, run=whole, **QUIET)
    assert (made.cells[0].workdir / "checkpoints").exists()
    # And where the checkpoints had gone as well, nothing asks for them.
    shutil.rmtree(made.cells[0].workdir / "checkpoints")
    assert run.work(made, only, run=killed, **QUIET).failed == []
    assert gather.rows(made, "random")[0]["status"] == "done"


def test_rows_tell_what_is_missing(tmp_path):
    made = plan(tmp_path)
    assert {row["status"] for row in gather.rows(made, "random")} == {"missing"}


def test_replicates_are_trained_at_once_and_their_ends_are_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PATIENCE", 0.0)
    made, groups, said = plan(tmp_path), [], []

    def together(jobs):
        """One fails, one is passed over, where it is tried for the first time."""
        groups.append([job.id for job in jobs])
        ends = [fake(job.config, job.workdir) for job in jobs]
        if len(groups) == 3:
            ends[0] = ValueError("its own fault")
        if len(groups) == 4:
            ends[1] = None
        return ends

    order = run.jobs_of(made)
    ended = run.work(made, order, said.append, stack=2, together=together)
    assert ended == run.Ended(0, [groups[2][0]])
    assert records.read(tmp_path / "cells" / groups[2][0]).error == "ValueError: its own fault"
    assert groups[-1] == [groups[3][1]]  # when all others are done
    pairs = groups[2:-1]
    assert [len(group) for group in groups] == [1, 1] + 12 * [2] + [1]
    assert all(kind_of(first) == kind_of(second) for first, second in pairs)
    places = [job.id for job in order]
    assert sorted(pairs, key=lambda pair: places.index(pair[0])) == pairs
    done = [job.id for job in order if records.read(job.workdir).state == records.DONE]
    assert len(done) == len(order) - 1
    assert "26 of 26 jobs, about 0 s left" in said[-1]


def kind_of(name):
    return name.replace("-seed1", "").partition("-subset")[0]


def pair_of(made):
    """Two cells of random weights that can be trained at once."""
    return next(group for group in run._groups(made.cells, 2) if not group[0].pretraining)


def attempted(made, group, together):
    """States of a group that is tried once."""
    context = Context(made, lambda text: None, fake, together, False, lambda job: None, [])
    return [end.state for end in attempt(group, context)]


def test_a_stop_reaches_all_that_are_trained_at_once(tmp_path):
    made = plan(tmp_path)
    pair = pair_of(made)
    ends = [ValueError("long before the stop"), Result(1, {}, signal.SIGTERM)]
    assert (
        run.work(made, pair, stack=2, together=lambda jobs: ends, **QUIET).signal == signal.SIGTERM
    )
    first, second = (records.read(job.workdir) for job in pair)
    assert first.error == "ValueError: long before the stop"
    assert second is None


def test_too_many_at_once_are_halved(tmp_path):
    made, said, sizes = plan(tmp_path), [], []

    def together(jobs):
        sizes.append(len(jobs))
        if len(jobs) > 1:
            raise StackError(f"{len(jobs)} runs can't be trained at once (too few bytes)")
        return [fake(job.config, job.workdir) for job in jobs]

    ended = run.work(made, pair_of(made), said.append, stack=2, together=together)
    assert ended == run.Ended(0, [])
    assert sizes == [2, 1, 1]
    assert "2 runs can't be trained at once (too few bytes); now 1 at once" in said


def test_a_stop_while_there_are_too_many_ends_it(tmp_path):
    """Not the start of half of them."""
    made, sizes = plan(tmp_path), []

    def together(jobs):
        sizes.append(len(jobs))
        os.kill(os.getpid(), signal.SIGTERM)
        raise StackError("too many")

    ended = run.work(made, pair_of(made), stack=2, together=together, **QUIET)
    assert ended.signal == signal.SIGTERM
    assert sizes == [2]
    assert not any(records.read(job.workdir) for job in pair_of(made))


def test_another_process_has_the_whole_group(tmp_path):
    made = plan(tmp_path)
    first, second = pair = pair_of(made)
    with records.lock(first.workdir):
        assert attempted(made, pair, lambda jobs: []) == ["busy", "busy"]
    with records.lock(second.workdir):
        trained = attempted(made, pair, lambda jobs: [fake(j.config, j.workdir) for j in jobs])
        assert trained == ["done", "busy"]


def test_a_job_that_is_given_up_is_free_while_the_others_are_trained(tmp_path, monkeypatch):
    made, seen = plan(tmp_path), []
    first, second = pair = pair_of(made)
    (first.workdir.parent).mkdir(parents=True)
    monkeypatch.setattr(deaths, "count", lambda path, *_: 5 * (first.id in path.name))

    def together(jobs):
        with records.lock(first.workdir) as free:
            seen.append((free, [job.id for job in jobs]))
        return [fake(job.config, job.workdir) for job in jobs]

    assert attempted(made, pair, together) == ["failed", "done"]
    assert seen == [(True, [second.id])]


def test_a_damaged_manifest_is_its_jobs_own(tmp_path):
    made = plan(tmp_path)
    broken = made.cells[0]
    broken.workdir.mkdir(parents=True)
    (broken.workdir / "manifest.json").write_text('{"finished": "now", "st')
    ended = run.work(made, run.jobs_of(made), run=fake, **QUIET)
    assert ended.failed == [broken.id]
    assert "manifest.json" in records.read(broken.workdir).error


def test_who_may_have_ended_a_process_is_tried_alone(tmp_path, monkeypatch):
    made = plan(tmp_path)
    pair = pair_of(made)
    blamed = pair[0].workdir
    blamed.parent.mkdir(parents=True)
    with pytest.raises(KeyError), records.started(blamed):
        raise KeyError
    assert not records.blamed(blamed)  # the process has lived on
    assert [len(group) for group in run._groups(pair, 2)] == [2]
    with monkeypatch.context() as patch:
        patch.setattr(deaths, "forget", lambda *_: None)
        with records.started(blamed):
            pass
    (blamed.parent / f"{blamed.name}.crash.txt").write_text("Fatal Python error")
    assert records.blamed(blamed)
    assert [len(group) for group in run._groups(pair, 2)] == [1, 1]
