"""Places arrays: one mesh axis 'data', state replicated, batches split; starts many hosts."""

import os
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.tell import tell


def start(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the processes of one run; does nothing for a run of one process.

    Must come before anything that touches a device. The explicit form needs all three arguments.
    Without them Slurm (srun with several tasks), GKE TPU slices and JAX_COORDINATOR_ADDRESS are
    found in the environment; `coordinator='auto'` leaves finding to jax, which asks the metadata
    server on a Cloud TPU VM.

    Raises:
      ConfigError: where only some of the three are given, or they contradict each other.
    """
    # We handle SIGTERM ourselves (interrupts.py), in the same way for one process and for many.
    if hasattr(jax.config, "jax_enable_preemption_service"):  # before 0.8.2 ours replaces it
        jax.config.update("jax_enable_preemption_service", False)
    explicit = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    given = {name: value for name, value in explicit.items() if value is not None}
    if coordinator == "auto" or (not given and _environment_has_many()):
        jax.distributed.initialize()
    elif given:
        missing = [name for name in explicit if name not in given]
        if missing:
            raise ConfigError(f"{', '.join(given)} also needs {', '.join(missing)}")
        if not 0 <= process_id < num_processes:
            raise ConfigError(
                f"--process_id={process_id} must be in 0..{num_processes - 1} "
                f"(--num_processes={num_processes})"
            )
        jax.distributed.initialize(coordinator, num_processes, process_id)


def _environment_has_many() -> bool:
    """Tells whether the environment names several processes in a form that jax reads by itself."""
    workers = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES", "")
    # SLURM_PROCID alone is also set in an interactive salloc shell; SLURM_STEP_NODELIST by srun.
    slurm = "SLURM_STEP_NODELIST" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    return slurm or "," in workers or "JAX_COORDINATOR_ADDRESS" in os.environ


def is_first_process() -> bool:
    """Tells whether this process writes files and prints."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line on the first process."""
    if is_first_process():
        tell(text)


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Returns a mesh with the one axis 'data' over all devices of the run (or those given)."""
    devices = list(devices or jax.devices())
    # jax.make_mesh defaults to Explicit axes, which want every operation's sharding spelt out.
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the placement in which every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh) -> NamedSharding:
    """Returns the placement in which the first axis is divided over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(key: str, size: int, mesh: Mesh, micro_batches: int = 1) -> None:
    """Raises ConfigError where a global batch, or its parts, can't be divided over the devices."""
    devices = mesh.devices.size
    each = devices * micro_batches
    if size % each:
        below, above = size // each * each, -(-size // each) * each
        near = f"{below} or {above}" if below else f"{above}"
        parts = f" in config.train.micro_batches={micro_batches} parts" if micro_batches > 1 else ""
        raise ConfigError(
            f"config.{key}={size} does not divide evenly over {devices} devices{parts}; use "
            f"{near}, or --batch_per_device=N for N times as many as there are devices"
        )


def to_devices(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Turns this process's part of a batch ([B / processes, ...]) into global arrays [B, ...]."""
    sharding = split(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}


def global_shapes(
    batch: Mapping[str, np.ndarray], sharding: NamedSharding
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns shapes of the whole batch, given this process's part."""
    count = jax.process_count()
    return {
        k: jax.ShapeDtypeStruct((v.shape[0] * count, *v.shape[1:]), v.dtype, sharding=sharding)
        for k, v in batch.items()
    }


def gather_rows(rows: np.ndarray) -> np.ndarray:
    """Gathers the rows of all processes, in order; all processes must call it."""
    if jax.process_count() == 1:
        return np.asarray(rows)
    return np.asarray(multihost_utils.process_allgather(np.asarray(rows), tiled=True))
