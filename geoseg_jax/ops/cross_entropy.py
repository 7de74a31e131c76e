"""Cross-entropy between class scores and label maps."""

import jax
import jax.numpy as jnp

IGNORE = 255


def cross_entropy(
    logits: jax.Array,
    label: jax.Array,
    *,
    smoothing: float = 0.0,
    class_weights: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Computes each pixel's cross-entropy, in nats, and weight; `mean` of both is PyTorch's loss.

    With smoothing s and C classes the target is 1 - s + s / C at the true class and s / C at the
    others (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7). A class
    weight multiplies its class's term of that sum, also where the class is not the true one, while
    the mean divides by the weights of the true classes, as torch.nn.functional.cross_entropy does.

    Args:
      logits: [..., C] floating; computed with in float32.
      label: integers [...], in [0, C); what lies outside, IGNORE above all, is ignored.
      smoothing: s, in [0, 1).
      class_weights: [C], from 0 on; None for equal ones.

    Returns:
      Losses float32 [...], weighted, and weights float32 [...]: that of the true class, 1 without
      class_weights; both 0 where ignored.

    Raises:
      ValueError: where the shapes don't fit.
    """
    if logits.shape[:-1] != label.shape:
        raise ValueError(
            f"logits have shape {list(logits.shape)} and labels {list(label.shape)}; "
            "expected [..., C] and [...]"
        )
    classes = logits.shape[-1]
    label = label.astype(jnp.int32)
    valid = (label >= 0) & (label < classes)
    logits = logits.astype(jnp.float32)
    normaliser = jax.nn.logsumexp(logits, axis=-1)
    # A sum over one class in place of a gather, whose gradient would be a scatter.
    chosen = jnp.arange(classes) == label[..., None]
    true = jnp.sum(jnp.where(chosen, logits, 0), axis=-1)
    if class_weights is None:
        weights, every = valid.astype(jnp.float32), None
    else:
        every = jnp.asarray(class_weights, jnp.float32)
        weights = jnp.sum(jnp.where(chosen, every, 0), axis=-1)
    losses = weights * (normaliser - true)
    if smoothing:
        losses = (1 - smoothing) * losses + smoothing * _of_all_classes(logits, normaliser, every)
    return jnp.where(valid, losses, 0), weights


def _of_all_classes(
    logits: jax.Array, normaliser: jax.Array, class_weights: jax.Array | None
) -> jax.Array:
    """Returns the mean over the classes of their weighted minus log-probabilities, [...]."""
    if class_weights is None:
        return normaliser - logits.mean(axis=-1)
    return jnp.mean(class_weights * (normaliser[..., None] - logits), axis=-1)


def mean(losses: jax.Array, weights: jax.Array) -> jax.Array:
    """Divides the sum of `cross_entropy`'s losses by that of its weights; 0 where none counts."""
    total = jnp.sum(weights)
    return jnp.sum(losses) / jnp.where(total > 0, total, 1)
