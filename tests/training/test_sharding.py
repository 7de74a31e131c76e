"""Batches over devices, and the start of several processes."""

import jax
import numpy as np
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training import sharding


def test_batches_are_split_and_keep_their_type():
    mesh = sharding.make_mesh()
    batch = {"image": np.arange(16, dtype=np.uint8).reshape(8, 2)}
    placed = sharding.to_devices(batch, mesh)["image"]
    assert placed.dtype == np.uint8
    np.testing.assert_array_equal(placed, batch["image"])
    assert {s.data.shape for s in placed.addressable_shards} == {(1, 2)}
    assert len({s.device for s in placed.addressable_shards}) == 8


def test_a_batch_that_does_not_divide_is_refused_with_the_sizes_that_do():
    mesh = sharding.make_mesh()
    sharding.check_batch_size("train.batch_size", 16, mesh)
    with pytest.raises(ConfigError, match=r"config.train.batch_size=12 .* 8 devices; use 8 or 16"):
        sharding.check_batch_size("train.batch_size", 12, mesh)
    with pytest.raises(ConfigError, match=r"use 8, or --batch_per_device=N"):
        sharding.check_batch_size("train.batch_size", 3, mesh)
    sharding.check_batch_size("train.batch_size", 3, sharding.make_mesh(jax.devices()[:3]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("localhost:1", None, None), "--coordinator also needs --num_processes, --process_id"),
        ((None, 2, 0), "also needs --coordinator"),
        (("localhost:1", 2, 2), r"--process_id=2 must be in 0..1"),
    ],
)
def test_flags_that_do_not_fit(arguments, said):
    with pytest.raises(ConfigError, match=said):
        sharding.start(*arguments)


@pytest.mark.parametrize(
    ("environment", "many"),
    [
        ({}, False),
        ({"SLURM_NTASKS": "4"}, False),  # a shell of salloc, not a step
        ({"SLURM_NTASKS": "4", "SLURM_STEP_NODELIST": "n[1-2]"}, True),
        ({"SLURM_NTASKS": "1", "SLURM_STEP_NODELIST": "n1"}, False),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
        ({"JAX_COORDINATOR_ADDRESS": "a:1"}, True),
    ],
)
def test_what_the_environment_tells(environment, many, monkeypatch):
    for name in ("SLURM_NTASKS", "SLURM_STEP_NODELIST", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    started = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *a: started.append(a))
    sharding.start()
    assert started == ([()] if many else [])
