"""The interface of a task: pure functions that turn batches into losses, metrics and pictures."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from geoseg_jax.core.setting import Flat, Setting

Batch = dict[str, jax.Array]
# {'params': {part: ...}, 'batch_stats': {part: ...}}; parts: encoder, decoder, head, pose, flow.
Variables = dict[str, Any]
# Additive: sums over examples and their counts, never means, so that any batching gives the same.
# Names that begin with EACH are not added: they hold a row for each example, [B, ...], and the rows
# of all batches are kept, one under the other.
Sums = dict[str, jax.Array]
EACH = "each/"


class Aux(NamedTuple):
    """The outputs of a loss beside its value."""

    batch_stats: Any  # the batch statistics after this batch
    terms: dict[str, jax.Array]  # name -> float32 scalar, logged and checked to be finite


class Task(Protocol):
    """A pre-training or transfer task; `make` of its module makes it from a configuration.

    Batches follow geoseg_jax.core.batch.FIELDS. All methods but summarise are traced. What a task
    measures is fixed when it is made; it does not depend on what a batch happens to hold.

    Attributes:
      holds: what the task took from the data, as plain JSON: equal for equal functions, where the
        configs are equal too (see training.programs). None: unknown.
      constants: {name: array} that the loss took from the data and reads in variables['constants'],
        where training puts them: so that runs with other values share a program. None for none.
      predict: (variables, batch) -> {name: map}, for files; None if there is nothing to write.
        segmentation: 'label', train ids uint8 of the size of batch['label'];
        depth: 'inverse_depth', 1 / metres float32 of the size of batch['image']; and where the
        batch has intrinsics the camera's, given or learned, float32 [B, 3, 3].
        flow: 'flow', float32 [B, H, W, 2] from image to sources[0], pixels of the size of image.
      network: (variables, batch) -> the output for batch['image'] as it is, in evaluation mode; see
        training.calibration. None if its batch statistics can't be calibrated.
    """

    holds: Any = None
    constants: dict[str, Any] | None = None
    predict: Callable[[Variables, Batch], dict[str, jax.Array]] | None = None
    network: Callable[[Variables, Batch], jax.Array] | None = None

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        """Draws the variables; only the shapes of the batch matter."""
        ...

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Returns the loss, a float32 scalar, with batch norm in training mode.

        progress: float32 scalar in [0, 1), the share of the training's steps that are done.
        """
        ...

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        """Returns sums over the examples whose mask is True."""
        ...

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        """Turns the totals of a whole split into the numbers that are reported, on the host."""
        ...

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Returns {name: uint8 [N, H, W, 3]}; N = 1 for a picture that all examples share."""
        ...


class TaskSpec(NamedTuple):
    """A task as the registry holds it: how to make it, and what it can be told.

    make(config, data) -> Task; data: the Data whose batches it will see.
    settings: its keys of config.task and config.model; all others there are refused.
    check(flat): raises ConfigError for settings that don't go together. All its settings that are
      not optional are there; those of data are not where data comes from elsewhere.
    predicts: what its `predict` gives, 'depth', 'label' or 'flow'; '' for nothing.
    encoded(config) -> pictures of an example that pass the encoder that is transferred, with a
      gradient. What a loss looks at once more, as distillation does, is not counted again.
    """

    make: Callable[[Any, Any], Task]
    settings: Mapping[str, Setting]
    check: Callable[[Flat], None]
    predicts: str = ""
    encoded: Callable[[Mapping[str, Any]], int] = lambda config: 1
