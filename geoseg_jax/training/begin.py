"""Begins a run: checks its config, opens workdir and data, finds what an earlier start has left."""

import contextlib
import itertools
import pathlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from geoseg_jax import tasks as all_tasks
from geoseg_jax.config.check import check
from geoseg_jax.core import json_files
from geoseg_jax.data import settings as of_data
from geoseg_jax.data.factory import make_data
from geoseg_jax.tasks import precision
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import (
    buckets,
    device_memory,
    manifest,
    opening,
    resume,
    setup,
    sharding,
    steps,
    trackers,
)
from geoseg_jax.training import workdir as workdirs
from geoseg_jax.training.checkpoints import KEPT, Checkpoints
from geoseg_jax.training.programs import Programs
from geoseg_jax.training.sharding import say


class Place(NamedTuple):
    """A run's config, checked, and where it is written."""

    config: ConfigDict
    address: str  # '' for a folder
    workdir: pathlib.Path


def place(
    config: ConfigDict,
    workdir: str | pathlib.Path,
    mesh: Mesh,
    task: Task | None = None,
    data: Any = None,
) -> Place:
    """Checks what needs no data: config, batch on these devices, packages; see loop.run."""
    check(config, skip=(("task", "model") if task else ()) + (("data",) if data else ()))
    train = config.train
    parts = train.get("micro_batches", 1)
    sharding.check_batch_size("train.batch_size", train.batch_size, mesh, parts)
    trackers.check(trackers.names_of(config))
    return Place(of_data.with_absolute_roots(config), *buckets.place(workdir))


class Opened(NamedTuple):
    """A run whose workdir nobody else has."""

    given: setup.Run
    earlier: resume.Earlier
    checkpoints: Checkpoints


@contextlib.contextmanager
def opened(
    placed: Place, mesh: Mesh, task: Task | None = None, data: Any = None
) -> Iterator[Opened]:
    """Opens a run, whose workdir and files are its own while the block lasts; see loop.run."""
    config, address, workdir = placed
    with contextlib.ExitStack() as stack:
        for context in (workdirs.room(workdir), workdirs.held(workdir), device_memory.fits(config)):
            stack.enter_context(context)
        opening.say_devices(mesh, workdir)
        push = stack.enter_context(buckets.mirrored(address, workdir))
        # From here on the type of activations is named: the run's records say which it was.
        config = precision.resolved(config, mesh.devices.flat[0], workdirs.read_config(workdir))
        data = data or make_data(config)
        task = task or all_tasks.make_task(config, data)
        given = setup.Run(config, workdir, task, data, manifest.describe_data(data), mesh)
        kept = config.train.get("checkpoints_kept", KEPT)
        checkpoints = Checkpoints(workdir / "checkpoints", kept, push)
        earlier = resume.inspect(workdir, config, given.data_record, checkpoints)
        for line in earlier.notes:
            say(line)
        try:
            yield Opened(given, earlier, checkpoints)
        finally:
            checkpoints.close()  # an error must not lose what is being written


class Prepared(NamedTuple):
    """What a run trains with, before its first state is made."""

    opened: Opened
    compiled: setup.Compiled
    shapes: steps.Shapes
    batches: Iterator[dict[str, np.ndarray]]
    started: str  # see json_files.now
    began: float  # time.monotonic()


def prepare(opened: Opened, programs: Programs) -> Prepared:
    """Reads the first batch of a run, whose shapes its programs depend on.

    programs: those of earlier runs, which this one adds its own to.
    """
    started, began = json_files.now(), time.monotonic()
    given = opened.given
    say("reading the first batch…")
    batches = setup.train_batches(given, opened.earlier.step)
    first = next(batches)
    shapes = sharding.global_shapes(first, sharding.split(given.mesh))
    compiled = setup.make_programs(given, programs, shapes)
    setup.check_best_metric(given, compiled)
    opening.say_model(given, compiled, shapes)
    batches = itertools.chain([first], batches)
    return Prepared(opened, compiled, shapes, batches, started, began)
