"""What a task is: pure functions that turn batches into losses, metrics and pictures."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
    """What a loss returns beside its value."""

    batch_stats: Any  # the batch statistics after this batch
    terms: dict[str, jax.Array]  # name -> float32 scalar, logged and checked to be finite


class Task(NamedTuple):
    """A pre-training or transfer task. Batches follow geoseg_jax.core.batch.FIELDS.

    init(key, batch) -> variables; may be traced.
    loss(variables, key, batch) -> (float32 scalar, Aux); batch norm in training mode.
    evaluate(variables, batch) -> Sums over the examples whose mask is True.
    summarise(sums) -> {name: float} from the totals of a whole split, on the host.
    visualise(variables, batch) -> {name: uint8 [N, H, W, 3]}; N = 1 for what all examples share.
    predict(variables, batch) -> {name: map}, for files; None where the task has nothing to write.
      segmentation: 'label', train ids uint8 of the size of batch['label'];
      depth: 'inverse_depth', 1 / metres float32 of the size of batch['image'].
    holds: what these functions took of the data, as plain JSON: equal for equal functions, where
      configs are equal too (see programs.py). None: unknown.
    network(variables, batch) -> the answer to batch['image'] as it is, in evaluation mode; see
      calibration. None where its batch statistics can't be calibrated.
    """

    init: Callable[[jax.Array, Batch], Variables]
    loss: Callable[[Variables, jax.Array, Batch], tuple[jax.Array, Aux]]
    evaluate: Callable[[Variables, Batch], Sums]
    summarise: Callable[[dict[str, float]], dict[str, float]]
    visualise: Callable[[Variables, Batch], dict[str, jax.Array]]
    predict: Callable[[Variables, Batch], dict[str, jax.Array]] | None = None
    holds: Any = None
    network: Callable[[Variables, Batch], jax.Array] | None = None


class TaskSpec(NamedTuple):
    """A task as the registry holds it: how to make it, and what it can be told.

    make(config, data) -> Task; data: the Data whose batches it will see.
    settings: its keys of config.task and config.model; all others there are refused.
    check(flat): raises ConfigError for settings that don't go together. All its settings that are
      not optional are there; those of data are not where data comes from elsewhere.
    predicts: what its `predict` gives, 'depth' or 'label'; '' for nothing.
    encoded(config) -> pictures of an example that pass the encoder that is transferred, with a
      gradient. What a loss looks at once more, as distillation does, is not counted again.
    """

    make: Callable[[Any, Any], Task]
    settings: Mapping[str, Setting]
    check: Callable[[Flat], None]
    predicts: str = ""
    encoded: Callable[[Mapping[str, Any]], int] = lambda config: 1
