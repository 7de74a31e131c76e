"""Checkpoints come back bit by bit, and what doesn't fit is told with both sides."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from geoseg_jax.training import sharding
from geoseg_jax.training.checkpoints import CheckpointError, Checkpoints, compare_shapes
from geoseg_jax.training.state import TrainState, sha256_of


def make_state(scale=1.0, width=3):
    params = {"encoder": {"kernel": scale * jnp.arange(2.0 * width).reshape(2, width)}}
    # Steps of optax without leaves (EmptyState, MaskedNode) must survive too.
    transform = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.partition(
            {"a": optax.adam(0.1), "b": optax.set_to_zero()}, {"encoder": {"kernel": "a"}}
        ),
    )
    return TrainState(
        step=jnp.asarray(7, jnp.int32),
        params=params,
        batch_stats={},
        opt_state=transform.init(params),
    )


def place(state, devices):
    return jax.device_put(state, sharding.replicated(sharding.make_mesh(devices)))


def shapes_of(state):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def test_saved_on_eight_devices_restored_on_one(tmp_path):
    saved = place(make_state(), jax.devices())
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(7, saved, {"note": {"a": 0.1}})
    checkpoints.close()
    abstract_state = place(make_state(0.0), jax.devices()[:1])
    again = Checkpoints(tmp_path)
    restored = again.restore(7, shapes_of(abstract_state))
    assert again.latest() == 7
    assert again.read_meta(7) == {"note": {"a": 0.1}}
    again.close()
    assert jax.tree.structure(restored) == jax.tree.structure(saved)
    jax.tree.map(np.testing.assert_array_equal, restored, saved)
    assert restored.params["encoder"]["kernel"].sharding.device_set == {jax.devices()[0]}


def test_the_latest_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 2)):
        checkpoints.save(step, make_state(step), {}, best)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert again.all() == [2, 4]
    # Called the best only after it was written, as after an evaluation that was cut short.
    again.save(5, make_state(), {}, best=4)
    again.close()
    again = Checkpoints(tmp_path)
    assert again.all() == [4, 5]
    again.close()


def test_what_a_killed_run_left_half_written_is_ignored_and_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_state(), {})
    checkpoints.close()
    partial = tmp_path / "2.orbax-checkpoint-tmp"
    (partial / "state").mkdir(parents=True)
    again = Checkpoints(tmp_path)
    assert again.latest() == 1
    again.save(2, make_state(), {})
    again.close()
    assert not partial.exists()
    assert (tmp_path / "2").is_dir()


def test_other_shapes_are_told_with_both_sides(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_state(), {})
    abstract_state = shapes_of(place(make_state(width=4), jax.devices()[:1]))
    with pytest.raises(CheckpointError) as error:
        checkpoints.restore(1, abstract_state)
    checkpoints.close()
    text = str(error.value)
    assert "params/encoder/kernel: float32[2, 3] there, float32[2, 4] here" in text
    assert str(tmp_path / "1") in text
    assert len(text) < 600


def test_a_checkpoint_that_holds_the_progress_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    old = make_state().replace(batch_stats={"progress": {"share": jnp.float32(0.5)}})
    checkpoints.save(1, old, {})
    checkpoints.close()
    again = Checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match=r"older version, .*progress.* another --workdir"):
        again.restore(1, shapes_of(place(make_state(), jax.devices()[:1])))
    again.close()


def test_missing_and_surplus_names():
    leaf = jnp.zeros((2,), jnp.bfloat16)
    compare_shapes({"a": leaf}, {"a": leaf}, "checkpoint X")
    with pytest.raises(CheckpointError, match=r"b: absent there, bfloat16\[2\] here"):
        compare_shapes({"a": leaf}, {"a": leaf, "b": leaf}, "checkpoint X")
    many = {f"layer{i}": leaf for i in range(9)}
    with pytest.raises(CheckpointError, match="and 6 more"):
        compare_shapes(many, {}, "checkpoint X")


def test_hash_of_parameters():
    tree = {"b": {"y": np.float32([1, 2])}, "a": np.zeros((2, 1), np.int32)}
    # sha256(b"a int32 2,1" + 8 zero bytes + b"b/y float32 2" + bytes of 1.0 and 2.0)
    written = b"a int32 2,1" + bytes(8) + b"b/y float32 2" + b"\0\0\x80\x3f\0\0\0\x40"
    import hashlib

    assert sha256_of(tree) == hashlib.sha256(written).hexdigest()
    reordered = {"a": tree["a"], "b": {"y": jnp.asarray(tree["b"]["y"])}}
    assert sha256_of(reordered) == sha256_of(tree)
    assert sha256_of({"a": tree["a"].reshape(1, 2), "b": tree["b"]}) != sha256_of(tree)
    big_endian = {"a": tree["a"].astype(">i4"), "b": tree["b"]}
    assert sha256_of(big_endian) == sha256_of(tree)
