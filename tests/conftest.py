"""Eight virtual CPU devices, a warm compilation cache, and the real data where it is there."""

import gc
import os
import pathlib
import signal
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

# The arrays of tests are tiny: what takes time is the compiler. It takes less than half of it with
# the older of its two ways to write out what it has fused, and less in one piece than in many.
FLAGS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1 "
)
if metadata.version("jaxlib").startswith(("0.7.", "0.8.", "0.9.", "0.10.")):
    FLAGS += "--xla_cpu_use_fusion_emitters=false "  # 0.11.2 doesn't know it, and aborts
os.environ["XLA_FLAGS"] = FLAGS + os.environ.get("XLA_FLAGS", "")

import jax
from absl import logging

jax.config.update("jax_num_cpu_devices", 8)
if not hasattr(jax, "enable_x64"):  # before jax 0.8
    from jax.experimental import enable_x64

    jax.enable_x64 = enable_x64

# Under nohup it is ignored, and what tests start would ignore it too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# To trace makes many objects that all stay: to look for garbage among them again and again is in
# vain.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)


# What compiles next to nothing: `make quick`.
QUICK = [ROOT / "tests" / name for name in ("core", "config", "scoring", "analysis", "data")]
NOT_QUICK = ROOT / "tests" / "data" / "synthetic"  # renders


@pytest.hookimpl(optionalhook=True)  # so that the tests run without pytest-xdist too
def pytest_xdist_auto_num_workers() -> int:
    """One more than the cores: tests that wait for processes of their own leave theirs idle."""
    given = getattr(os, "sched_getaffinity", None)  # not on macOS
    return (len(given(0)) if given else os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the fast tests, by their folder, and puts them last.

    A process takes a file at a time: a long one at the end would leave the others without work.
    """
    for item in items:
        if NOT_QUICK not in item.path.parents and any(f in item.path.parents for f in QUICK):
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: item.get_closest_marker("quick") is not None)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real samples beside the checkout; tests that need it are skipped without."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real samples are not there: {folder}")
    return folder


@pytest.fixture(autouse=True)
def _verbosity():
    """A command that a test runs may quieten the log; the next test wants to read it."""
    before = logging.get_verbosity()
    yield
    logging.set_verbosity(before)
