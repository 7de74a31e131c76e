"""A twin's first step in a process that never imports jax, as where it is timed."""

import argparse
import pathlib

from benchmarks import twins


def first_loss(options: argparse.Namespace, folder: pathlib.Path) -> float:
    twin = twins.Twin(options, folder, "channels_last")
    twin.build()
    return twin.step()["loss"]
