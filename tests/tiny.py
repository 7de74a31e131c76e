"""A task of a few hundred parameters and generated data, to test the training loop with.

Also a program, started by tests that need a process of their own or several:
    python tests/tiny.py --workdir=W [--set train__steps=5 ...] [--coordinator ...]
"""

import argparse
import ast
import hashlib
import json
import pathlib
import sys
import time
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data.source import BadRecord
from geoseg_jax.tasks.base import Aux, Task
from geoseg_jax.training import loop, sharding
from tests import stand_in_bucket

HEIGHT, WIDTH = 6, 8


class Net(nn.Module):
    """Convolution, normalisation, convolution: one number a pixel."""

    @nn.compact
    def __call__(self, image, train):
        # No bias: its gradient before a normalisation is rounding noise, which Adam blows up.
        x = nn.Conv(4, (3, 3), use_bias=False, name="conv")(image.astype(jnp.float32) / 255)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        return nn.Conv(1, (3, 3), name="out")(nn.relu(x))[..., 0]


class Model(nn.Module):
    """Two top-level parts, as real models have."""

    def setup(self):
        self.encoder = Net()
        self.head = nn.Dense(1)

    def __call__(self, image, train):
        return self.head(self.encoder(image, train)[..., None])[..., 0]


class TinyTask(Task):
    """Regression of depth. `poison`: the id of an example whose loss is NaN."""

    def __init__(self, poison: int | None = None, holds: Any = None):
        self.net, self.poison, self.holds = Model(), poison, holds

    def init(self, key, batch):
        return self.net.init(key, batch["image"], train=False)

    def loss(self, variables, key, batch, progress):
        predicted, updated = self.net.apply(
            variables, batch["image"], train=True, mutable=["batch_stats"]
        )
        # A key per example, so that no order of devices matters.
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["id"])
        noise = 0.01 * jax.vmap(lambda k: jax.random.normal(k, (HEIGHT, WIDTH)))(keys)
        error = jnp.square(predicted + noise - batch["depth"])
        if self.poison is not None:
            error *= jnp.where(batch["id"] == self.poison, jnp.nan, 1)[:, None, None]
        terms = {"square": jnp.mean(error), "size": jnp.mean(jnp.abs(predicted))}
        return terms["square"] + 1e-3 * terms["size"], Aux(updated["batch_stats"], terms)

    def evaluate(self, variables, batch):
        predicted = self.net.apply(variables, batch["image"], train=False)
        error = jnp.mean(jnp.square(predicted - batch["depth"]), axis=(1, 2))
        return {
            "square": jnp.sum(jnp.where(batch["mask"], error, 0)),
            "images": jnp.sum(batch["mask"], dtype=jnp.int32),
        }

    def summarise(self, sums):
        return {"square": sums["square"] / sums["images"], "eval_images": sums["images"]}

    def visualise(self, variables, batch):
        predicted = jnp.clip(self.net.apply(variables, batch["image"], train=False), 0, 1)
        grey = jnp.repeat((255 * predicted[..., None]).astype(jnp.uint8), 3, axis=-1)
        return {"input": batch["image"], "answer": grey}


class Source:
    """Noise, and the mean of its colours as depth.

    Records in `broken` can't be read, the others take `slow` seconds.
    """

    left_out: dict[str, int]

    def __init__(self, size: int, seed: int, broken: tuple[int, ...] = (), slow: float = 0.0):
        self._size, self._seed, self._broken, self._slow = size, seed, broken, slow
        self.left_out = {}

    def __len__(self):
        return self._size

    def __getitem__(self, index):
        if index in self._broken:
            raise BadRecord(f"{self.describe(index)}: broken")
        time.sleep(self._slow)
        rng = np.random.default_rng((self._seed, index))
        image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        return {"image": image, "depth": (image.mean(axis=-1) / 255).astype(np.float32)}

    def describe(self, index):
        return f"noise {self._seed}/{index}"

    def fingerprint(self):
        return hashlib.sha256(f"{self._size} {self._seed}".encode()).hexdigest()


class Data(NamedTuple):
    train: Source
    eval: Source


def make_data(
    broken: tuple[int, ...] = (), eval_size: int = 11, seed: int = 1, slow: float = 0.0
) -> Data:
    return Data(Source(20, seed, broken, slow), Source(eval_size, 2))


def make_config(**changes) -> ConfigDict:
    """A config for loop.run(config, workdir, make_task(), make_data()); keys with dots as `__`."""
    config = ConfigDict(
        {
            "seed": 3,
            "data": {"workers": 0, "flip": False, "bad_share": 0.0},
            "optimizer": {
                "name": "adam",
                "learning_rate": 1e-2,
                "schedule": "cosine",
                "warmup_steps": 2,
                "clip_norm": 1.0,
                "rules": (),
            },
            "train": {
                "steps": 10,
                "batch_size": 8,
                "eval_batch_size": 8,
                "log_every": 2,
                "eval_every": 5,
                "checkpoint_every": 4,
                "pictures_every": 1000,  # at the end
                "best_metric": "square",
            },
        }
    )
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("__", "."): value})
    return config


def losses(workdir) -> dict[int, float]:
    """Step -> loss in the lines of metrics.jsonl that tell of training."""
    lines = (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines()
    return {e["step"]: e["loss"] for e in map(json.loads, lines) if "loss" in e}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--coordinator")
    parser.add_argument("--num_processes", type=int)
    parser.add_argument("--process_id", type=int)
    parser.add_argument("--set", action="append", default=[], help="train__steps=5")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds to read a record")
    parser.add_argument("--devices", type=int, help="use so many of those there are")
    parser.add_argument("--bucket", type=pathlib.Path, help="folder that gs:// stands for")
    args = parser.parse_args()
    changes = dict(pair.split("=", 1) for pair in args.set)
    config = make_config(**{key: ast.literal_eval(value) for key, value in changes.items()})
    if args.bucket:
        stand_in_bucket.use(args.bucket)
    sharding.start(args.coordinator, args.num_processes, args.process_id)
    data = make_data(slow=args.slow)
    devices = args.devices and jax.devices()[: args.devices]
    result = loop.run(config, args.workdir, TinyTask(), data, devices)
    sys.exit(128 + result.signal if result.signal else 0)


if __name__ == "__main__":
    main()
