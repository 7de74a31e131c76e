import multiprocessing

import pytest

from geoseg_jax.core.json_files import FileError
from geoseg_jax.study import records
from geoseg_jax.study.records import DONE, FAILED, Record


def test_a_record_is_kept_and_a_failure_forgotten_on_request(tmp_path):
    one, two = tmp_path / "jobs" / "one", tmp_path / "jobs" / "two"
    assert records.read(one) is None
    one.mkdir(parents=True)
    records.write(one, Record(DONE, 3.5, ""))
    records.write(two, Record(FAILED, 1.0, "ValueError: no"))
    assert records.read(one) == Record(DONE, 3.5, "")
    assert records.forget_failures([one, two]) == 1
    assert records.read(one)
    assert records.read(two) is None


def test_what_is_done_and_removed_is_to_be_done_again(tmp_path):
    job = tmp_path / "job"
    job.mkdir()
    records.write(job, Record(DONE, 3.5, ""))
    job.rmdir()
    assert records.read(job) is None
    records.write(job, Record(FAILED, 1.0, "no such file"))
    assert records.read(job).state == FAILED


def _try(workdir, queue):
    with records.lock(workdir) as ours:
        queue.put(ours)


def _tried_by_another(workdir):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_try, args=(workdir, queue))
    process.start()
    answer = queue.get(timeout=60)
    process.join()
    return answer


def test_a_lock_is_one_processs_and_free_again(tmp_path):
    with records.lock(tmp_path / "job") as ours:
        assert ours
        assert not _tried_by_another(tmp_path / "job")
    assert _tried_by_another(tmp_path / "job")


def test_a_damaged_record_is_named(tmp_path):
    job = tmp_path / "job"
    for text, said in (
        ('{"state": "done"}', "lacks 'seconds'"),
        ('{"state": "don", "seconds": 1, "error": ""}', "state 'don'"),
        ("", "is empty"),
    ):
        (tmp_path / "job.record.json").write_text(text)
        with pytest.raises(FileError, match=f"job.record.json is damaged: .*{said}.*; remove it"):
            records.read(job)
