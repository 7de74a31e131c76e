"""Every arm of every shipped study starts, on every layout of data that its head documents.

What is tested here every time: the data opens, the first batch has what the task needs, and the
loss can be traced with it, once for each kind of loss and batch. Where GEOSEG_JAX_SLOW_TESTS=1 is
set, each arm is trained for two steps, and a cell that starts from it too.
"""

import dataclasses
import itertools
import os
from typing import NamedTuple

import jax
import numpy as np
import pytest

from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.study import check as study_check
from geoseg_jax.study.plan import make_plan
from geoseg_jax.study.recipes import Recipe, Shared
from geoseg_jax.tasks import make_task
from geoseg_jax.training import loop
from tests.study.layouts import LAYOUTS, video_alone
from tests.test_configs import FOLDER, get_config, with_small_encoders, words

SLOW = "GEOSEG_JAX_SLOW_TESTS"
NAMES = sorted(path.stem for path in FOLDER.glob("study_*.py"))
# Arguments that bring further arms, or others.
ARGUMENTS = (
    ("study_camvid", "small"),
    ("study_cityscapes", "preset=paper_code"),
    ("study_folder", "small"),
    ("study_folder", "start=weights"),
    ("study_kitti", "preset=paper_code"),
    ("study_nyu", "start=both"),
    ("study_quick", "more"),
    ("study_quick", "full"),
)
# What such an argument leaves as it was.
LEFT_OUT = {
    ("study_camvid", "small"): ("classification", "flow_strong"),
    ("study_quick", "more"): ("classification", "depth_mono", "flow_strong"),
    ("study_quick", "full"): ("depth_mono", "flow_strong", "reconstruction"),
}


class Case(NamedTuple):
    """A study, its argument, and the number of the layout that each of its roots has."""

    study: str
    argument: str
    layouts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        kinds = (LAYOUTS[root][n].__name__ for root, n in self.layouts if len(LAYOUTS[root]) > 1)
        return "-".join(filter(None, (self.study, self.argument, *kinds)))


def cases() -> list[Case]:
    """Each study with the first layout of every root, and with each of the others in its place."""
    found = []
    for name in NAMES:
        roots = list(get_config(name).get("roots", {}))
        longest = max((len(LAYOUTS[root]) for root in roots), default=1)
        for number in range(longest):
            chosen = [(root, min(number, len(LAYOUTS[root]) - 1)) for root in roots]
            found.append(Case(name, "", tuple(chosen)))
    for name, argument in ARGUMENTS:
        roots = get_config(name, argument).get("roots", {})
        found.append(Case(name, argument, tuple((root, 0) for root in roots)))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(root's name, number of the layout) -> a folder of that layout, made when asked for."""
    made = {}

    def folder(root, number):
        write = LAYOUTS[root][number]
        if write not in made:
            # One of the layouts is a file, whose ending tells that it is a video.
            name = f"{write.__name__}.mp4" if write is video_alone else write.__name__
            made[write] = tmp_path_factory.mktemp("data") / name
            write(made[write])
        return str(made[write])

    return folder


def _plan(case, data, workdir):
    """The study's plan with one cell an arm, of the fewest labels."""
    config = study_check.expand(settings.plain(get_config(case.study, case.argument)))
    config["roots"] = {root: data(root, number) for root, number in case.layouts}
    config["factors"] = {k: list(values)[:1] for k, values in config["factors"].items()}
    config["factors"]["encoder"] = ["tiny"]
    config["without"] = LEFT_OUT.get((case.study, case.argument), ())
    return make_plan(config, workdir)


def _shrink(config, cache):
    """In place: pictures of 64x32, two steps of two."""
    with_small_encoders(config)
    small = {"height": 32, "width": 64, "cache_dir": str(cache), "workers": 0, "scale": ()}
    small |= {"train_size": max(8, config.data.get("labels", 0)), "eval_size": 2, "gap": 2}
    config.data.update({key: value for key, value in small.items() if key in config.data})
    if config.data.get("crop"):
        config.data.crop = (32, 64)
    config.train.update({"steps": 2, "batch_size": 2, "eval_batch_size": 2, "eval_every": 0})
    config.train.update({"pictures_every": 0, "checkpoint_every": 0})
    config.optimizer.warmup_steps = 0


def _jobs(case, data, tmp_path, with_starts=False):
    """The first pre-training of every arm, and a cell of every arm, shrunk.

    Where other layouts than the first take its place, those alone that read them; with what these
    start from, where that is asked for.
    """
    made = _plan(case, data, tmp_path / "study")
    cells = {cell.factors["arm"]: cell for cell in reversed(made.cells)}

    def shrunk(job):
        config = job.config
        _shrink(config, data_cache(tmp_path))
        return job._replace(recipe=Recipe(Shared(config), {}))

    made = dataclasses.replace(made, pretrainings=[shrunk(job) for job in made.pretrainings])
    first = {job.arm: job for job in reversed(made.pretrainings)}
    cells = {arm: shrunk(cell) for arm, cell in cells.items()}
    others = {data(root, number) for root, number in case.layouts if number}

    def concerned(job):
        read = {job.config.data.get(key) for key in ("root", "eval_root")}
        return not others or read & others

    jobs = [job for job in first.values() if concerned(job)]
    wanted = [cell for cell in cells.values() if concerned(cell)]
    if with_starts:
        starts = filter(None, map(made.start, wanted))
        chains = (link for job in (*jobs, *starts) for link in made.chain(job))
        jobs = list({link.id: link for link in chains}.values())
    return jobs, wanted


def data_cache(tmp_path):
    """Where made-up worlds and decoded videos are kept, for all tests of a process alike."""
    return tmp_path.parent / "cache"


@pytest.fixture(scope="module")
def traced():
    """The kinds of loss and batch that have been traced."""
    return set()


@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_arm_can_start(case, data, traced, tmp_path):
    pretrainings, cells = _jobs(case, data, tmp_path)
    assert pretrainings or cells
    for job in (*pretrainings, *cells[:1]):  # cells of one study differ in where they start
        check(job.config)
        sources = make_data(job.config)
        batches = pipeline.train_batches(
            sources.train, batch_size=2, seed=0, augment=augmentation(job.config.data)
        )
        batch = {key: np.asarray(value) for key, value in next(iter(batches)).items()}
        task = make_task(job.config, sources)
        shapes = sorted((key, value.shape, str(value.dtype)) for key, value in batch.items())
        if (kind := f"{words(job.config)} {shapes}") in traced:
            continue
        traced.add(kind)
        variables = jax.eval_shape(task.init, jax.random.key(0), batch)
        value, _ = jax.eval_shape(task.loss, variables, jax.random.key(0), batch, 0.0)
        assert value.shape == (), job.id


@pytest.mark.skipif(os.environ.get(SLOW) != "1", reason=f"minutes of compiling: set {SLOW}=1")
@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_arm_trains_for_two_steps_and_so_does_a_cell_from_it(case, data, tmp_path):
    pretrainings, cells = _jobs(case, data, tmp_path, with_starts=True)
    for job in itertools.chain(pretrainings, cells):
        result = loop.run(job.config, job.workdir, devices=jax.devices()[:1])
        assert result.step == 2, job.id
        assert result.evaluation, job.id
