"""Describes the data and the machine of a run, for its manifest."""

import functools
import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Any

import jax

PACKAGES = (
    "geoseg_jax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "opencv-python-headless",
)


def describe_data(data: Any) -> dict[str, Any]:
    """Returns fingerprint, size and left-out counts of both splits, and one hash over both.

    A split that is a choice among more records (few labels) also lists the names of its records.
    """

    def describe(source: Any) -> dict[str, Any]:
        chosen = {"names": source.names} if hasattr(source, "indices") else {}
        return {
            "sha256": source.fingerprint(),
            "size": len(source),
            "left_out": dict(getattr(source, "left_out", {})),
        } | chosen

    splits = {"train": describe(data.train), "eval": describe(data.eval)}
    both = "".join(splits[name]["sha256"] for name in ("train", "eval"))
    return splits | {"sha256": hashlib.sha256(both.encode()).hexdigest()}


def describe_machine() -> dict[str, Any]:
    """Returns devices, processes, versions of packages and the revision of the code."""
    devices = jax.devices()
    return {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processes": jax.process_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "git_revision": git_revision(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache  # of the code that this process has loaded
def git_revision() -> str | None:
    """Returns the commit that this package runs from, with '-dirty' if changed, or None."""
    folder = pathlib.Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ("git", "-C", str(folder), *arguments), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # An installed copy may lie inside someone else's repository, which says nothing about us.
        git("ls-files", "--error-unmatch", str(folder / "__init__.py"))
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
