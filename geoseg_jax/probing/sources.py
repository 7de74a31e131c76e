"""Encoders to probe, by run, file, name or word, and their features on one grid."""

import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from geoseg_jax import interop
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.places import check_local
from geoseg_jax.models import encoders
from geoseg_jax.ops.sampling import resize_bilinear
from geoseg_jax.prediction.networks import Encoder, load_encoder, to_unit_batch
from geoseg_jax.training import calibration, sharding

RANDOM, STATISTICS = "random", "statistics"
WORDS = (RANDOM, STATISTICS)
FROZEN, CALIBRATED = "frozen", "calibrated"
_BATCH = 4  # pictures at a time
_USUAL = "resnet18"  # of random weights, where no other encoder says which


class Probed(NamedTuple):
    """An encoder to probe.

    name: what it is called in tables. source: as given. encoder: None for STATISTICS.
    """

    name: str
    source: str
    encoder: Encoder | None


def load(given: Sequence[str], words: Sequence[str] = ()) -> list[Probed]:
    """Loads encoders, each [NAME=]SOURCE.

    Args:
      given: SOURCE is what load_encoder takes, RANDOM for random weights of the first encoder's
        architecture, RANDOM:ARCHITECTURE, or STATISTICS for the mean and deviation of each cell's
        red, green and blue.
      words: of WORDS, put at the end unless they are given.

    Raises:
      ConfigError, WeightsError, CheckpointError: one line, for what can't be had.
    """
    pairs = [_name(entry) for entry in given]
    sources = [source for _, source in pairs]
    for source in sources:
        check_local(source, "--encoders")
    words = [w for w in words if w not in [s.partition(":")[0] for s in sources]]
    pairs += [(word, word) for word in words]
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"--encoders: two are called {twice!r}; write NAME={twice}, each its own")
    loaded = {s: _load(s) for s in sources if s.partition(":")[0] not in WORDS}
    usual = next((e.name for e in loaded.values()), _USUAL)
    return [
        Probed(name, source, loaded[source] if source in loaded else _made_up(source, usual))
        for name, source in pairs
    ]


def _name(entry: str) -> tuple[str, str]:
    """Splits [NAME=]SOURCE; a name is the end of a path otherwise."""
    name, equals, source = entry.partition("=")
    if equals and "/" not in name:
        if not (name and source):
            raise ConfigError(f"--encoders: {entry!r} is not NAME=SOURCE")
        return name, source
    path = pathlib.PurePath(entry)
    if interop.is_name(entry):
        return entry.rpartition("/")[2] or entry, entry
    return path.stem if path.suffix in (".pth", ".safetensors", ".pt") else path.name, entry


def _load(source: str) -> Encoder:
    try:
        return load_encoder(source)
    except interop.WeightsError as error:
        hint = "" if pathlib.Path(source).expanduser().exists() else did_you_mean(source, WORDS)
        raise ConfigError(f"--encoders: {error}{hint}") from error


def _made_up(source: str, usual: str) -> Encoder | None:
    word, colon, kind = source.partition(":")
    if word == STATISTICS:
        if colon:
            raise ConfigError(f"--encoders: {source!r}: {STATISTICS} is no network; drop {kind!r}")
        return None
    kind = kind or usual
    if kind not in encoders.ENCODERS:
        hint = did_you_mean(kind, encoders.ENCODERS)
        raise ConfigError(f"--encoders: {source!r}: there is no encoder {kind!r}{hint}")
    module, images = encoders.make_encoder(kind), jnp.zeros((1, 64, 64, 3))
    variables = jax.jit(lambda key: module.init(key, images, False))(jax.random.key(0))
    return Encoder(kind, "imagenet", variables, {"name": f"random weights of {kind}, seed 0"})


def check_stages(probed: Sequence[Probed], stages: Sequence[int]) -> None:
    """Raises ConfigError for a stage that an encoder doesn't have."""
    for name, _, encoder in probed:
        known = (4, 8, 16, 32) if encoder and encoders.is_vit(encoder.name) else (2, 4, 8, 16, 32)
        missing = [stage for stage in stages if stage not in known]
        if encoder and missing:
            raise ConfigError(
                f"--stages={missing[0]}: {name} has the stages {', '.join(map(str, known))}"
            )


def features(
    probed: Probed,
    images: np.ndarray,
    stages: Sequence[int],
    stride: int,
    statistics: str = FROZEN,
) -> np.ndarray:
    """Computes the features of pictures on one grid, stages side by side.

    Args:
      images: uint8 [N, H, W, 3]; H and W are multiples of 32 and of the stride.
      stages: which are taken; coarser ones are resized bilinearly, finer ones averaged.
      stride: of the grid.
      statistics: FROZEN for batch norms that run on the statistics that they come with, CALIBRATED
        for those of these pictures (training.calibration); a ViT has none.

    Returns:
      float32 [N, H / stride, W / stride, C].
    """
    size = images.shape[1] // stride, images.shape[2] // stride
    encoder = probed.encoder
    if encoder is None:
        return _colours(images, stride)
    variables = encoder.variables
    if statistics == CALIBRATED and "batch_stats" in variables:
        variables = {**variables, "batch_stats": _calibrated(encoder, images)}

    def on_grid(variables: Mapping[str, Any], batch: jax.Array) -> jax.Array:
        maps = encoder.apply(variables, to_unit_batch(batch))
        return jnp.concatenate([_resized(maps[s], size) for s in stages], axis=-1)

    return np.concatenate(_in_batches(jax.jit(on_grid), variables, images))


def _in_batches(call: Callable, variables: Any, images: np.ndarray) -> list[np.ndarray]:
    """Calls with batches of one size, so that one program is compiled."""
    filled = _filled(images)
    return [np.asarray(call(variables, batch))[:count] for batch, count in filled]


def _filled(images: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Parts pictures in batches of one size, the last filled up, each with its own count."""
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        fill = np.repeat(batch[-1:], _BATCH - len(batch), 0)
        yield np.concatenate([batch, fill]), len(batch)


def _resized(maps: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Brings [N, h, w, C] to a grid: means of whole blocks, or bilinear."""
    count, height, width, channels = maps.shape
    rows, columns = size
    if height % rows == 0 and width % columns == 0:
        blocks = maps.reshape(count, rows, height // rows, columns, width // columns, channels)
        return blocks.mean((2, 4))
    return resize_bilinear(maps, rows, columns)


def _colours(images: np.ndarray, stride: int) -> np.ndarray:
    """Computes mean and deviation of red, green and blue in each cell: [N, h, w, 6]."""
    count, height, width, _ = images.shape
    blocks = images.astype(np.float32) / 255
    blocks = blocks.reshape(count, height // stride, stride, width // stride, stride, 3)
    return np.concatenate([blocks.mean((2, 4)), blocks.std((2, 4))], axis=-1)


class _Whole(nn.Module):
    """An encoder as the part of a model that calibration looks for."""

    encoder: nn.Module

    def __call__(self, images: jax.Array) -> Any:
        return self.encoder(images, False)


def _calibrated(encoder: Encoder, images: np.ndarray) -> Any:
    """Computes the batch statistics of these pictures; no label is looked at."""
    net = _Whole(encoders.make_encoder(encoder.name, normalisation=encoder.normalisation))
    mesh = sharding.make_mesh(jax.devices()[:1])
    measure = calibration.make_measure(
        lambda variables, batch: net.apply(variables, to_unit_batch(batch["image"])), mesh
    )
    variables = {kind: {"encoder": tree} for kind, tree in encoder.variables.items()}
    batches = [
        {"image": batch, "mask": np.arange(_BATCH) < count} for batch, count in _filled(images)
    ]
    return calibration.calibrate(measure, variables, batches, mesh)[0]
