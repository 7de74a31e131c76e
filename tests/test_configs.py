"""Every configuration in the folder builds, and one training step of it has the right shapes."""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import pytest

from geoseg_jax.batch import FIELDS
from geoseg_jax.settings import check
from geoseg_jax.tasks import make_task

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "configs"
# The arguments to try beside none; a configuration that takes some must name them here.
ARGUMENTS = {
    "depth_kitti": ["mono", "stereo", "mono_stereo", "resnet50", "mono,resnet50"],
    "depth_synthetic": ["mono", "stereo", "room", "street,mono_stereo"],
    "quickstart": [],
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def get_config(name, arg=""):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def abstract_batch(config):
    """The shapes that the batches of a depth configuration have."""
    height, width = config.data.height, config.data.width
    sizes = {"B": 2, "H": height, "W": width, "D_H": height, "D_W": width}
    sizes["S"] = len(config.data.frames) + config.data.stereo
    keys = ("image", "sources", "intrinsics", "stereo_pose", "depth", "depth_size")
    keys += ("constant_depth", "id", "mask")

    def struct(field):
        shape = tuple(sizes[axis] if axis in sizes else int(axis) for axis in field.axes)
        return jax.ShapeDtypeStruct(shape, field.dtype)

    return {key: struct(FIELDS[key]) for key in keys}


def test_every_config_is_covered():
    assert set(NAMES) == set(ARGUMENTS)


@pytest.mark.parametrize(
    ("name", "arg"), [(name, arg) for name in NAMES for arg in ["", *ARGUMENTS.get(name, [])]]
)
def test_builds_and_steps(name, arg):
    config = get_config(name, arg)
    check(config)
    task, batch, key = make_task(config), abstract_batch(config), jax.random.key(0)
    variables = jax.eval_shape(task.init, key, batch)

    def step(variables, key, batch):
        def loss(params):
            return task.loss({**variables, "params": params}, key, batch)

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    (value, aux), gradients = jax.eval_shape(step, variables, key, batch)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert all(term.shape == () for term in aux.terms.values())
    same = jax.tree.map(
        lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), gradients, variables["params"]
    )
    assert jax.tree.all(same)
    assert jax.tree.structure(aux.batch_stats) == jax.tree.structure(variables["batch_stats"])
    sums = jax.eval_shape(task.evaluate, variables, batch)
    assert {"abs_rel", "abs_rel_constant", "images"} <= set(sums)
    pictures = jax.eval_shape(task.visualise, variables, batch)
    size = (2, config.data.height, config.data.width, 3)
    assert {(p.shape, p.dtype.name) for p in pictures.values()} == {(size, "uint8")}


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match="mono_sterio"):
        get_config(name, "mono_sterio")


def test_stereo_is_judged_in_metres():
    assert get_config("depth_kitti", "mono").task.eval.median_scaling
    assert not get_config("depth_kitti", "mono_stereo").task.eval.median_scaling
