"""The papers of a run: what went in, on what it ran, and what came out."""

import datetime
import hashlib
import importlib.metadata
import json
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

import jax

from geoseg_jax.core import atomic

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


def write_json(path: str | pathlib.Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    atomic.write_text(path, text + "\n")


def read_json(path: str | pathlib.Path) -> dict[str, Any] | None:
    """The file's content, or None where it is not there."""
    path = pathlib.Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def describe_data(data: Any) -> dict[str, Any]:
    """Fingerprints, sizes and what was left out of both splits, and one hash over them.

    Of a split that is a choice among more records (few labels), also their names.
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
    """Devices, processes and versions."""
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


def git_revision(folder: str | pathlib.Path | None = None) -> str | None:
    """The commit of the checkout this package runs from, '-dirty' where it was changed, or None."""
    folder = pathlib.Path(folder or __file__).resolve()
    folder = folder if folder.is_dir() else folder.parent

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


def now() -> str:
    """UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
