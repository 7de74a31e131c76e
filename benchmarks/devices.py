"""Published rates of accelerators, and what their compilers need to know to compile without one.

Rates are those of the makers' data sheets, dense, without sparsity; no program reaches them all.
"""

import os
import re
from typing import Any, NamedTuple

# A compiler for a device that isn't there; must be set before jax is imported.
WITHOUT_DEVICES = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


class Cuda(NamedTuple):
    """A GPU as CUDA's programming guide describes it."""

    capability: tuple[int, int]
    cores: int  # streaming multiprocessors
    units: int  # float32 units of each
    shared: int  # bytes of shared memory of each
    block_shared: int  # at most, of a block of threads
    threads: int  # of each, at once
    cache: int  # MiB, second level
    clock: float  # GHz
    memory: int  # GB


class Device(NamedTuple):
    """An accelerator."""

    name: str
    kind: str  # part of jax's device_kind
    platform: str
    products: dict[str, float]  # FLOP/s of convolutions and products, by type
    numbers: float  # FLOP/s of float32 outside of these
    memory: float  # bytes/s to and from its main memory
    link: float  # bytes/s each way to its neighbour in a ring, on one host or slice
    network: float  # bytes/s each way out of a host of eight, all its cards together
    cuda: Cuda | None = None


def _nvidia(name, *rates, cuda) -> Device:
    return Device(name, name, "cuda", *rates, cuda)


_HOPPER = {"bf16": 989e12, "f16": 989e12, "f32": 494e12, "f32 exact": 67e12}
_AMPERE = {"bf16": 312e12, "f16": 312e12, "f32": 156e12, "f32 exact": 19.5e12}
_ADA = {"bf16": 121e12, "f16": 121e12, "f32": 60e12, "f32 exact": 30.3e12}
_TURING = {"f16": 65e12, "f32": 8.1e12, "f32 exact": 8.1e12, "bf16": 8.1e12}  # no units for bf16
_V5E = {"bf16": 197e12, "f32": 197e12, "f32 exact": 197e12 / 6}  # float32 in passes of bfloat16
_H100 = Cuda((9, 0), 132, 128, 233472, 232448, 2048, 50, 1.98, 80)

DEVICES = {
    device.name: device
    for device in (
        # NVLink and eight network cards of 400 or 200 Gbit/s a host, as in the maker's own; else
        # PCI Express and 100 Gbit/s.
        _nvidia("H200", _HOPPER, 67e12, 4.8e12, 450e9, 400e9, cuda=_H100._replace(memory=141)),
        _nvidia("H100", _HOPPER, 67e12, 3.35e12, 450e9, 400e9, cuda=_H100),
        _nvidia(
            *("A100", _AMPERE, 19.5e12, 2.04e12, 300e9, 200e9),
            cuda=Cuda((8, 0), 108, 64, 167936, 166912, 2048, 40, 1.41, 80),
        ),
        _nvidia(
            *("L4", _ADA, 30.3e12, 0.3e12, 32e9, 12.5e9),
            cuda=Cuda((8, 9), 58, 128, 102400, 101376, 1536, 48, 2.04, 24),
        ),
        _nvidia(
            *("T4", _TURING, 8.1e12, 0.32e12, 16e9, 12.5e9),
            cuda=Cuda((7, 5), 40, 64, 65536, 65536, 1024, 4, 1.59, 16),
        ),
        # 1600 Gbit/s a chip over the four links of a torus: half of it along one axis. The rate of
        # its vector unit is not published.
        Device("v5e", "TPU v5 lite", "tpu", _V5E, float("inf"), 0.819e12, 100e9, 100e9),
    )
}


def of_kind(kind: str) -> Device | None:
    """Finds a device by jax's device_kind."""
    named = (d for d in DEVICES.values() if re.search(rf"\b{d.kind}\b", kind))  # no L40S an L4
    return next(named, None)


def without_devices() -> None:
    """Sets the environment to compile for what isn't there; call it before jax is imported."""
    for name, value in WITHOUT_DEVICES.items():
        os.environ.setdefault(name, value)


def abstract_devices(device: Device, chips: int) -> list[Any]:
    """Makes so many devices to compile for, none of which is there.

    Raises:
      RuntimeError, NotImplementedError: where no compiler for them is installed.
      ValueError: for a number of chips that no slice or row of hosts has.
    """
    from jax.experimental import topologies

    if device.cuda:
        hosts, each = (1, chips) if chips <= 8 else (chips // 8, 8)
        if hosts * each != chips or chips < 1:
            raise ValueError(f"--chips={chips} must be 1 to 8, or a multiple of 8")
        described = {"target_config": _target(device), "topology": f"1x{hosts}x{each}"}
        found = topologies.get_topology_desc(platform="cuda", **described)
    else:
        slices = {4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
        if chips > 1 and chips not in slices:
            raise ValueError(f"--chips={chips} must be 1 or one of {', '.join(map(str, slices))}")
        found = topologies.get_topology_desc(f"{device.name}:{slices[max(chips, 4)]}", "tpu")
    return list(found.devices[:chips])


def _target(device: Device) -> str:
    """Writes a GPU as XLA's GpuTargetConfigProto, in text."""
    gpu = device.cuda
    assert gpu is not None
    capability = (
        f"cuda_compute_capability {{ major: {gpu.capability[0]} minor: {gpu.capability[1]} }}"
    )
    described = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49152,
        "shared_memory_per_core": gpu.shared,
        "shared_memory_per_block_optin": gpu.block_shared,
        "threads_per_core_limit": gpu.threads,
        "core_count": gpu.cores,
        "fpus_per_core": gpu.units,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65535,
        "block_dim_limit_z": 65535,
        "thread_dim_limit_x": 1024,
        "thread_dim_limit_y": 1024,
        "thread_dim_limit_z": 64,
        "memory_bandwidth": int(device.memory),
        "l2_cache_size": gpu.cache * 2**20,
        "clock_rate_ghz": gpu.clock,
        "device_memory_size": gpu.memory * 10**9,
        "registers_per_core_limit": 65536,
        "registers_per_block_limit": 65536,
        "runtime_version": '"12.9.0"',
        "driver_version": '"12.9.0"',
        "compile_time_toolkit_version": '"12.9.0"',
        "dnn_version": '"9.10.0"',
    }
    numbers = " ".join(f"{key}: {value}" for key, value in described.items())
    return (
        f"gpu_device_info {{ {numbers} {capability} }} platform_name: 'CUDA' "
        "dnn_version_info { major: 9 minor: 10 } runtime_version { major: 12 minor: 9 } "
        f"device_description_str: 'NVIDIA {device.name}'"
    )
