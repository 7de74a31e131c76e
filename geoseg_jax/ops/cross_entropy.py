"""Cross-entropy between class scores and label maps."""

import jax
import jax.numpy as jnp

IGNORE = 255


def cross_entropy(
    logits: jax.Array, label: jax.Array, *, smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Each pixel's cross-entropy, in nats.

    With smoothing s and C classes the target is 1 - s + s / C at the true class and s / C at the
    others (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7).

    Args:
      logits: [..., C] floating; computed with in float32.
      label: integers [...], in [0, C); what lies outside, IGNORE above all, is ignored.
      smoothing: s, in [0, 1).

    Returns:
      Losses float32 [...], 0 where ignored, and valid bool [...], the pixels that count.

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
    losses = normaliser - true
    if smoothing:
        losses = (1 - smoothing) * losses + smoothing * (normaliser - logits.mean(axis=-1))
    return jnp.where(valid, losses, 0), valid


def class_weights_of(label: jax.Array, weights: jax.Array) -> jax.Array:
    """Each pixel's weight: that of its class in weights [C], 0 where the label is none of them."""
    classes = jnp.arange(weights.shape[0])
    chosen = classes == label.astype(jnp.int32)[..., None]
    return jnp.sum(jnp.where(chosen, weights, 0), axis=-1)


def weighted_mean(losses: jax.Array, weights: jax.Array) -> jax.Array:
    """sum(w l) / sum(w), as PyTorch's weighted mean; 0 where no pixel counts."""
    total = jnp.sum(weights)
    return jnp.sum(losses * weights) / jnp.where(total > 0, total, 1)
