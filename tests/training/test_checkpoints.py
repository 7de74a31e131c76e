"""Checkpoints come back bit by bit, and what doesn't fit is told with both sides."""

import pathlib
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from geoseg_jax.training import checkpoints, intact, sharding
from geoseg_jax.training.checkpoints import (
    CheckpointError,
    Checkpoints,
    compare_shapes,
    read_meta,
    steps_in,
)
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


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 2)):
        checkpoints.save(step, make_state(step), {}, best)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert steps_in(again.folder) == [2, 4, 5]
    # Called the best only after it was written, as after an evaluation that was cut short.
    again.save(6, make_state(), {}, best=4)
    again.save(7, make_state(), {}, best=4)
    again.close()
    again = Checkpoints(tmp_path)
    assert steps_in(again.folder) == [4, 6, 7]
    again.close()


def test_one_who_saves_nothing_removes_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 5):
        checkpoints.save(step, make_state(step), {}, best=1)
    checkpoints.close()
    Checkpoints(tmp_path).close()
    assert steps_in(tmp_path) == [1, 3, 4]


@pytest.mark.parametrize(("kept", "left"), [(1, [1, 4]), (3, [1, 2, 3, 4])])
def test_as_many_of_the_newest_are_kept_as_are_asked_for(tmp_path, kept, left):
    checkpoints = Checkpoints(tmp_path, kept)
    for step in range(1, 5):
        checkpoints.save(step, make_state(step), {}, best=1)
    checkpoints.close()
    assert steps_in(checkpoints.folder) == left


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


def saved(folder, steps=(3, 6)):
    writer = Checkpoints(folder)
    for step in steps:
        writer.save(step, place(make_state(step), jax.devices()[:1]), {"note": step})
    writer.close()
    return folder


def restored(folder):
    """What a run would go on from, and the lines it would say."""
    reader = Checkpoints(folder)
    step = reader.latest()
    state = reader.restore(step, shapes_of(place(make_state(), jax.devices()[:1])))
    meta = reader.read_meta(step)
    reader.close()
    return step, state, meta, reader.notes


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A folder of two checkpoints."""
    return saved(tmp_path_factory.mktemp("pristine") / "checkpoints")


@pytest.fixture
def copied(pristine, tmp_path):
    return pathlib.Path(shutil.copytree(pristine, tmp_path / "checkpoints"))


def flip(path, chance):
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "flipped": lambda path: flip(path, random.Random(path.name)),
    "missing": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut": cut,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a folder": replace_by_folder,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_damage_to_any_file_is_noticed(damage, copied):
    parts = [p for p in (copied / "6").rglob("*") if p.is_file() and p.parent != copied / "6"]
    files = [*parts, copied / "6" / "sha256.json"]
    assert len(files) > 10
    assert intact.damage(copied / "6") == ""
    for path in files:
        whole = path.read_bytes()
        damage(path)
        assert intact.damage(copied / "6"), path
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)
        assert intact.damage(copied / "6") == ""


def test_an_older_one_is_restored_in_place_of_a_damaged_one(copied):
    flip(next((copied / "6" / "state" / "d").iterdir()), random.Random(0))
    (copied / "99").mkdir()  # somebody's
    (copied / "98").write_text("")
    with pytest.raises(CheckpointError, match=r"98 is no checkpoint|98.* is damaged"):
        choose_and_read(copied)
    step, state, meta, notes = restored(copied)
    assert (step, meta) == (3, {"note": 3})
    jax.tree.map(np.testing.assert_array_equal, state, place(make_state(3), jax.devices()[:1]))
    assert [note.split(": ")[0] for note in notes] == [
        f"checkpoint {copied / name} is damaged" for name in ("99", "98", "6")
    ]
    assert "state/d/" in notes[2]
    assert "6.damaged" in notes[2]
    # What the run writes next has the place free, and nothing is thrown away.
    assert {p.name for p in copied.iterdir()} == {"3", "6.damaged", "98.damaged", "99.damaged"}
    assert restored(copied)[3] == []


def choose_and_read(folder):
    return read_meta(checkpoints.choose(folder.parent, "latest", "--step=latest"))


def test_what_orbax_keeps_beside_a_checkpoint_may_be_anything(copied):
    for name in ("_CHECKPOINT_METADATA", "commit_success.txt"):
        (copied / "6" / name).write_bytes(b"\xff")
    (copied / "6" / ".DS_Store").write_bytes(b"\0")
    step, state, meta, notes = restored(copied)
    assert (step, meta, notes) == (6, {"note": 6}, [])
    jax.tree.map(np.testing.assert_array_equal, state, place(make_state(6), jax.devices()[:1]))


def test_who_asks_for_weights_is_told_of_damage_and_gets_no_others(copied):
    for part, read in (("meta", read_meta), ("state", checkpoints.read_variables)):
        path = max((copied / "6" / part).rglob("*"), key=lambda p: p.is_file())
        whole = path.read_bytes()
        flip(path, random.Random(0))
        with pytest.raises(CheckpointError, match=f"damaged: {part}/.*; there are 3 beside it"):
            read(copied / "6")
        path.write_bytes(whole)
    assert checkpoints.read_variables(copied / "6")["params"]["encoder"]["kernel"][0, 1] == 6


def test_no_intact_checkpoint_is_one_line_and_nothing_is_touched(copied):
    shutil.rmtree(copied / "6" / "state")
    (copied / "3" / "sha256.json").unlink()
    before = sorted(copied.rglob("*"))
    with pytest.raises(CheckpointError, match=r"6: it has no folder state; 3: sha256.json is miss"):
        Checkpoints(copied)
    assert sorted(copied.rglob("*")) == before


def test_checkpoints_of_older_versions_have_no_hashes(copied):
    (copied / "6" / "sha256.json").unlink()
    (copied / "6" / "meta" / "metadata").write_text('{"note": 6}')
    assert restored(copied)[0] == 6
    (copied / "6" / "state" / "_METADATA").write_text("{")
    with pytest.raises(CheckpointError, match=r"6 can't be read \(.*use another step"):
        restored(copied)
