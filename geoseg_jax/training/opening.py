"""The first lines of a run: what it runs on, what it trains, where it writes."""

import pathlib
from collections import Counter
from typing import Any

import jax
from clu import parameter_overview, platform
from jax.sharding import Mesh

from geoseg_jax.core import atomic, formats
from geoseg_jax.training import sharding
from geoseg_jax.training.setup import Compiled, Run
from geoseg_jax.training.steps import Shapes

PARAMETERS = "parameters.txt"


def describe_devices(mesh: Mesh) -> str:
    """Says number and kind of the devices: 'devices: 8 TPU v4, of 2 processes'."""
    kinds = Counter(device.device_kind for device in mesh.devices.flat)
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    processes = jax.process_count()
    return f"devices: {said}" + (f", of {processes} processes" if processes > 1 else "")


def describe_model(run: Run, compiled: Compiled, shapes: Shapes) -> str:
    """Says task, networks, parameters, size of the pictures and the batch."""
    config = run.config
    given = config.get("model", {})
    parts = [f"{part} {given[part]}" for part in ("encoder", "decoder") if given.get(part)]
    params = compiled.abstract_state.params
    parts.append(f"{parameter_overview.count_parameters(params):,} parameters ({PARAMETERS})")
    if "image" in shapes:
        height, width = shapes["image"].shape[1:3]
        parts.append(f"pictures {width}x{height}")
    batch, devices = config.train.batch_size, run.mesh.devices.size
    each = f", {batch // devices} a device" if devices > 1 else ""
    turns = config.train.get("micro_batches", 1)
    each += f", in {turns} parts" if turns > 1 else ""
    parts.append(f"{formats.count(batch, 'example')} a step{each}")
    name = config.get("task", {}).get("name", type(run.task).__name__)
    return f"{name}: {', '.join(parts)}"


def write_parameters(workdir: pathlib.Path, params: Any) -> None:
    """Writes the table of parameters, and tells the platform of the run where that is known."""
    table = parameter_overview.get_parameter_overview(params, include_stats=False)
    atomic.write_text(workdir / PARAMETERS, f"{table}\n")
    unit = platform.work_unit()  # of clu: of a cluster that has one, else it logs a line
    unit.create_artifact(platform.ArtifactType.DIRECTORY, str(workdir), "workdir")


def say_devices(mesh: Mesh, workdir: pathlib.Path) -> None:
    """Says on what and where, before anything takes time."""
    sharding.say(describe_devices(mesh))
    sharding.say(f"workdir: {workdir}")


def say_model(run: Run, compiled: Compiled, shapes: Shapes) -> None:
    """Says what is trained, and writes down its parameters, on the first process."""
    sharding.say(describe_model(run, compiled, shapes))
    if sharding.is_first_process():
        write_parameters(run.workdir, compiled.abstract_state.params)
