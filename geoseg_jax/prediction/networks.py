"""Trained networks as functions of pictures: encoders, segmentation, depth.

    encoder = geoseg_jax.load_encoder("runs/quickstart")
    features = encoder(pictures)  # {2: [N, H/2, W/2, 64], ..., 32: [N, H/32, W/32, 512]}

A picture is RGB, [H, W, 3] or [N, H, W, 3], uint8, or floats in [0, 1].
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import places
from geoseg_jax.data import pictures as picture_files
from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.models import encoders
from geoseg_jax.prediction import run
from geoseg_jax.scoring.depth_files import resize_inverse_depth
from geoseg_jax.tasks import task_named
from geoseg_jax.tasks.base import Task
from geoseg_jax.training import ancestors, checkpoints

Picture = np.ndarray | jax.Array


@dataclasses.dataclass(frozen=True)
class Encoder:
    """An encoder with its weights.

    Attributes:
      name: a key of models.ENCODERS.
      normalisation: what its input is normalised by, inside: a key of resnet.NORMALISATIONS.
      variables: {'params': ..., 'batch_stats': ...}, the latter for ResNets alone.
      origin: what the weights are, for a record: task, step, hash.
    """

    name: str
    normalisation: str
    variables: dict[str, Any] = dataclasses.field(repr=False)
    origin: dict[str, Any]

    def __call__(self, images: Picture) -> dict[int, jax.Array]:
        """Computes features, compiled once for each shape.

        Args:
          images: one picture or several of one size; a ViT wants multiples of 16.

        Returns:
          {stride: [N, ceil(H / stride), ceil(W / stride), C] float32}, without N for one picture.
          A ViT's features are all at stride 16.

        Raises:
          ValueError: for another shape or type.
        """
        batch = to_unit_batch(images)
        features = self._compiled(self.variables, batch)
        return features if np.ndim(images) == 4 else {s: maps[0] for s, maps in features.items()}

    def apply(self, variables: dict[str, Any], images: jax.Array) -> dict[int, jax.Array]:
        """Computes features as a pure function, for jax.grad, jax.vmap and the like.

        images: [N, H, W, 3] in [0, 1].
        """
        net = encoders.make_encoder(self.name, normalisation=self.normalisation)
        return net.apply(variables, images, train=False)

    @functools.cached_property
    def _compiled(self) -> Callable:
        return jax.jit(self.apply)


@dataclasses.dataclass(frozen=True)
class _Network:
    """A run's network; pictures are resized to the size that it was trained at."""

    config: ConfigDict
    task: Task
    variables: dict[str, Any] = dataclasses.field(repr=False)

    _key: ClassVar[str]  # of what the task predicts

    def _predict(self, picture: Picture | str | pathlib.Path) -> tuple[np.ndarray, tuple[int, int]]:
        """Returns the task's map of one picture, and the picture's height and width."""
        if isinstance(picture, str | pathlib.Path):
            picture = picture_files.to_rgb(picture_files.read_picture(pathlib.Path(picture)))
        whole = np.asarray(picture)
        if whole.ndim != 3:
            raise ValueError(f"picture has shape {whole.shape}; give one picture, [H, W, 3]")
        whole = np.asarray(to_unit_batch(whole)[0] * 255).round().astype(np.uint8)
        data = self.config.data
        how = data.get("picture_resize", "area")
        small = picture_files.resize(whole, data.height, data.width, how)
        size = whole.shape[:2]
        batch = run.to_batch(small[None], np.array([size], np.int32))
        return np.asarray(self._compiled(self.variables, batch)[self._key][0]), size

    @functools.cached_property
    def _compiled(self) -> Callable:
        return jax.jit(self.task.predict)


@dataclasses.dataclass(frozen=True)
class Segmenter(_Network):
    """A segmentation network.

    Attributes:
      table: of its classes; `table.classes` are their names, `table.palette` their colours.
    """

    table: LabelTable

    _key = "label"

    def predict(self, picture: Picture | str | pathlib.Path) -> np.ndarray:
        """Predicts the class of each pixel.

        Args:
          picture: of any size, or its file.

        Returns:
          uint8 [H, W] at the picture's own size: places in `table.classes`.

        Raises:
          DataError: for a file that can't be read.
          ValueError: for an array of another shape, type or range.
        """
        labels, (height, width) = self._predict(picture)
        return labels[:height, :width]


@dataclasses.dataclass(frozen=True)
class DepthEstimator(_Network):
    """A depth network.

    Attributes:
      metric: whether depth is in metres; else only up to one common factor for all pictures.
    """

    metric: bool

    _key = "inverse_depth"

    def predict(self, picture: Picture | str | pathlib.Path) -> np.ndarray:
        """Predicts depth along the camera's axis.

        Args:
          picture: of any size, or its file.

        Returns:
          float32 [H, W], above 0, at the picture's own size.

        Raises:
          DataError: for a file that can't be read.
          ValueError: for an array of another shape, type or range.
        """
        inverse, size = self._predict(picture)
        return 1 / np.maximum(resize_inverse_depth(inverse, size), 1e-6)


def load_encoder(
    source: str | pathlib.Path, *, normalisation: str = "", prefix: str = ""
) -> Encoder:
    """Loads the encoder of a run or of a file of weights.

    Args:
      source: a workdir, WORKDIR/checkpoints/STEP, a .pth or .safetensors, a folder that
        geoseg_jax.weights wrote, or a name: hf:OWNER/NAME, torchvision:MODEL.
      normalisation: of a file that does not tell, a key of resnet.NORMALISATIONS.
      prefix: of the encoder's names in a file that holds several.

    Raises:
      WeightsError, CheckpointError: it can't be read, or what is said of it doesn't fit.
      ConfigError: it holds no encoder.
    """
    weights = ancestors.read_weights_of(source, normalisation, prefix)
    if not weights.encoder:
        raise ConfigError(f"{source} holds no encoder")
    parts = ((kind, tree.get("encoder")) for kind, tree in weights.variables.items())
    variables = {kind: jax.tree.map(jnp.asarray, tree) for kind, tree in parts if tree}
    origin = weights.source or {"name": str(source), "sha256": weights.sha256}
    return Encoder(weights.encoder, weights.normalisation, variables, origin)


def load_segmenter(
    workdir: str | pathlib.Path, *, step: str | int = "latest", root: str | None = None
) -> Segmenter:
    """Loads the network of a segmentation run.

    Args:
      workdir: of the run.
      step: 'latest', 'best', or the number of a checkpoint.
      root: in place of the run's config.data.root, where class names come with the data.

    Raises:
      ConfigError, CheckpointError, DataError: one line, for a workdir without such a run.
    """
    config, variables = _run_of(workdir, step, root, "label", "segmentation")
    table = run.table_of(config)
    if table is None:
        raise ConfigError(f"{workdir}: its data has no classes")
    return Segmenter(config, run.task_of(config, table), variables, table)


def load_depth(workdir: str | pathlib.Path, *, step: str | int = "latest") -> DepthEstimator:
    """Loads the network of a depth run, self-supervised or supervised.

    Args:
      workdir: of the run.
      step: 'latest', 'best', or the number of a checkpoint.

    Raises:
      ConfigError, CheckpointError: one line, for a workdir without such a run.
    """
    config, variables = _run_of(workdir, step, None, "depth", "depth")
    return DepthEstimator(config, run.task_of(config, None), variables, run.is_metric(config))


def _run_of(
    workdir: str | pathlib.Path, step: str | int, root: str | None, predicts: str, what: str
) -> tuple[ConfigDict, dict[str, Any]]:
    places.check_local(workdir, "workdir")
    config = run.read_config(pathlib.Path(workdir), root)
    if task_named(config.task.name).predicts != predicts:
        raise ConfigError(f"{workdir} is a run of {config.task.name}, not of {what}")
    folder = checkpoints.choose(workdir, step, f"step={step!r}")
    return config, checkpoints.read_variables(folder)


def to_unit_batch(images: Picture) -> jax.Array:
    """Brings pictures to float32 [N, H, W, 3] in [0, 1].

    Raises:
      ValueError: for another number of channels, another type, and floats beyond [0, 1] or NaN.
    """
    if np.ndim(images) not in (3, 4) or np.shape(images)[-1] != 3:
        raise ValueError(
            f"images have shape {np.shape(images)}; give RGB, [H, W, 3] or [N, H, W, 3]"
        )
    batch = jnp.asarray(images).reshape(-1, *np.shape(images)[-3:])
    if batch.dtype == jnp.uint8:
        return batch.astype(jnp.float32) / 255
    if not jnp.issubdtype(batch.dtype, jnp.floating):
        raise ValueError(f"images are {batch.dtype}; give uint8, or floats in [0, 1]")
    # NaN is in no range; XLA's min and max may pass it over, NumPy's don't.
    if not isinstance(batch, jax.core.Tracer) and not bool(((batch >= 0) & (batch <= 1)).all()):
        low, high = float(np.asarray(batch).min()), float(np.asarray(batch).max())
        raise ValueError(f"images range from {low:g} to {high:g}; give floats in [0, 1]")
    return batch.astype(jnp.float32)
