"""Renders a share of a source's records in a process of its own: `python -m` this, JOB as JSON.

Records go to standard output, each an .npz after its length. A plain subprocess rather than
multiprocessing: that would import the caller's main module here, and jax with it.
"""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic.source import source_from

_LENGTH = struct.Struct("<Q")
# There is a process for each core: numpy must not start threads for all of them in each.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def rendered(parameters: dict, size: int, workers: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields the records 0 .. size - 1 in order, rendered by `workers` processes.

    Raises DataError with a worker's own words where it fails.
    """
    # Run from the package's root, so that a checkout need not be installed.
    root = str(Path(__file__).resolve().parents[3])
    code = f"import sys; sys.path.insert(0, {root!r}); from {__name__} import main; main()"
    workers = min(workers, size)
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(workers):
            job = {"parameters": parameters, "start": number, "stop": size, "step": workers}
            errors = stack.enter_context(tempfile.TemporaryFile())
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code, json.dumps(job)],
                    env=os.environ | dict.fromkeys(_THREADS, "1"),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
            )
            stack.callback(process.kill)  # before Popen's own exit, which waits for it
            started.append((process, errors))
        for i in range(size):
            yield _receive(*started[i % workers], i)


def _receive(process: subprocess.Popen, error, i: int) -> dict[str, np.ndarray]:
    head = process.stdout.read(_LENGTH.size)
    body = process.stdout.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(body) < _LENGTH.unpack(head)[0]:
        code = process.wait()
        error.seek(0)
        words = error.read().decode(errors="replace").strip().splitlines() or ["nothing"]
        raise DataError(
            f"rendering synthetic record {i} failed: its process ended with {code} and said: "
            f"{words[-1]}"
        )
    with np.load(io.BytesIO(body), allow_pickle=False) as record:
        return dict(record)


def main() -> None:
    """Runs a worker process."""
    job = json.loads(sys.argv[1])
    cv2.setNumThreads(1)
    source = source_from(job["parameters"])
    for i in range(job["start"], job["stop"], job["step"]):
        buffer = io.BytesIO()
        np.savez(buffer, **source[i])
        body = buffer.getvalue()
        try:
            sys.stdout.buffer.write(_LENGTH.pack(len(body)) + body)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # the caller has gone; nobody wants the rest
            sys.stderr.close()
            return
