"""InfoNCE against PyTorch's cross-entropy, values by hand and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from geoseg_jax.ops import contrastive

RNG = np.random.default_rng(0)


def unit(*shape):
    x = RNG.normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


QUERY, KEY, QUEUE = unit(5, 8), unit(5, 8), unit(12, 8)


def test_by_hand():
    query = jnp.asarray([[1.0, 0.0], [1.0, 0.0]])
    key = jnp.asarray([[0.8, 0.6], [0.0, 1.0]])
    queue = jnp.asarray([[0.6, 0.8], [-1.0, 0.0]])
    result = contrastive.info_nce(query, key, queue, temperature=0.5)
    others = np.exp(0.6 / 0.5) + np.exp(-1 / 0.5)
    expected = [-np.log(np.exp(s) / (np.exp(s) + others)) for s in (0.8 / 0.5, 0.0)]
    np.testing.assert_allclose(result.loss, expected, rtol=1e-5)
    assert result.hit.tolist() == [True, False]
    np.testing.assert_allclose(result.similarity, [0.8, 0.0], atol=1e-6)


def test_equals_pytorch():
    torch = pytest.importorskip("torch")
    q, k, queue = map(torch.from_numpy, (QUERY, KEY, QUEUE))
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], dim=1) / 0.2
    theirs = torch.nn.functional.cross_entropy(
        logits, torch.zeros(5, dtype=torch.long), reduction="none"
    )
    ours = contrastive.info_nce(QUERY, KEY, QUEUE, temperature=0.2)
    np.testing.assert_allclose(ours.loss, theirs.numpy(), rtol=1e-5)
    assert ours.hit.tolist() == (logits.argmax(1) == 0).tolist()


def test_gradient():
    def loss(query):
        query = contrastive.unit_length(query)
        return contrastive.info_nce(query, KEY, QUEUE, temperature=0.5).loss.sum()

    check_grads(loss, (jnp.asarray(QUERY * 1.7),), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)
    # A query of no direction has no gradient rather than NaN.
    assert np.isfinite(jax.grad(loss)(jnp.zeros_like(QUERY))).all()


def test_one_answer_to_everything_is_no_hit_and_costs_log_of_all():
    same = np.broadcast_to(QUERY[:1], (12, 8))
    result = contrastive.info_nce(same[:5], same[:5], same, temperature=0.2)
    assert not result.hit.any()
    np.testing.assert_allclose(result.loss, np.log(13), rtol=1e-5)


def test_the_queue_forgets_the_oldest():
    queue = jnp.arange(5.0)[:, None]
    queue = contrastive.enqueue(queue, jnp.asarray([[10.0], [11.0]]))
    assert queue[:, 0].tolist() == [10, 11, 0, 1, 2]
    queue = contrastive.enqueue(queue, jnp.arange(20.0, 24.0)[:, None])
    assert queue[:, 0].tolist() == [20, 21, 22, 23, 10]
