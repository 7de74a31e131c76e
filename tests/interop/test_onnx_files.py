"""Networks as ONNX, computed by onnxruntime, which shares no code with jax; operation by operation
and whole.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from geoseg_jax.interop import WeightsError, onnx_operations
from geoseg_jax.interop.onnx_files import METADATA, write_onnx
from geoseg_jax.models import SegmentationNet, SelfSupDepthNet, make_encoder
from tests.models.weights import randomise

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

SHAPE = (4, 6, 3)
KERNEL = np.random.default_rng(5).normal(size=(3, 2, 3, 4)).astype(np.float32)
MATRIX = np.random.default_rng(6).normal(size=(3, 5)).astype(np.float32)


def convolve(x):
    """Uneven padding, stride and dilation, rows and columns apart: an exchange would show."""
    return lax.conv_general_dilated(
        x[None],
        KERNEL,
        (2, 1),
        ((2, 1), (0, 1)),
        rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[0]


OPERATIONS = {
    "add": lambda x: x + x[::-1],
    "sub": lambda x: x - x[0],
    "mul": lambda x: x * x[:, :1],
    "div": lambda x: x / (2 + x[..., :1]),
    "max": lambda x: jnp.maximum(x, 0.1),
    "min": lambda x: lax.min(x, x[::-1]),
    "abs": jnp.abs,
    "neg": lambda x: -x,
    "exp": jnp.exp,
    "log": lambda x: jnp.log(jnp.abs(x) + 0.1),
    "sqrt": lambda x: jnp.sqrt(jnp.abs(x)),
    "tanh": jnp.tanh,
    "floor": lambda x: jnp.floor(3 * x),
    "erf": lax.erf,
    "pow": lambda x: jnp.abs(x) ** jnp.abs(x[0]),
    "and": lambda x: (x > 0) & (x < 1),
    "or": lambda x: (x < 0) | (x > 1),
    "not": lambda x: ~(x > 0),
    "logistic": jax.nn.sigmoid,
    "gt": lambda x: x > x[::-1],
    "ge": lambda x: x >= x[:1],
    "lt": lambda x: x < x[::-1],
    "le": lambda x: x <= x[:1],
    "eq": lambda x: x == x[:1],
    "ne": lambda x: x != x[:1],
    "rsqrt": lambda x: lax.rsqrt(jnp.abs(x) + 0.1),
    "square": lax.square,
    "integer_pow": lambda x: x**3,
    "expm1": jnp.expm1,
    "erfc": lax.erfc,
    "clamp": lambda x: lax.clamp(-0.5, x, 0.5),
    "select_n": lambda x: jnp.where(x > 0, 2 * x, 3 + x),
    "convert_element_type": lambda x: (10 * x).astype(jnp.int32),
    "copy": lambda x: lax.copy_p.bind(x),
    "stop_gradient": lambda x: lax.stop_gradient(x),
    "reshape": lambda x: x.reshape(2, 2, 18),
    "squeeze": lambda x: jnp.squeeze(x[:1], 0),
    "expand_dims": lambda x: jnp.expand_dims(x, 1),
    "transpose": lambda x: x.transpose(2, 0, 1),
    "concatenate": lambda x: jnp.concatenate([x, MATRIX.sum() + x[:2]], 0),
    "stack": lambda x: jnp.stack([x, 2 * x], 1),
    "slice": lambda x: lax.slice(x, (1, 2, 0), (4, 6, 3), (2, 1, 1)),
    "rev": lambda x: lax.rev(x, (0, 2)),
    "pad": lambda x: jnp.pad(x, ((1, 0), (2, 3), (0, 0)), constant_values=7.0),
    "reduce_sum": lambda x: x.sum((0, 2)),
    "reduce_max": lambda x: x.max(1),
    "reduce_min": lambda x: x.min(1),
    "argmax": lambda x: jnp.argmax(x, 1),
    "conv_general_dilated": convolve,
    "dot_general": lambda x: x @ MATRIX,
    # Further forms of the last, and of what is repeated.
    "pairs": lambda x: jnp.einsum("hwc,hvc->hwv", x, x[:, ::-1]),
    "constant first": lambda x: jnp.einsum("yh,hwc->ywc", np.ones((2, 4), np.float32), x),
    "two summed": lambda x: jnp.einsum("hwc,wck->hk", x, np.ones((6, 3, 2), np.float32)),
    "repeated": lambda x: jnp.broadcast_to(x[:, None], (4, 2, *SHAPE[1:])).reshape(8, 6, 3),
    "mirrored": lambda x: jnp.pad(x, ((0, 0), (2, 2), (1, 1)), mode="reflect"),
    "edge": lambda x: jnp.pad(x, ((0, 2), (0, 0), (0, 0)), mode="edge"),
}


def run(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert (values.shape, values.dtype) == (theirs[name].shape, theirs[name].dtype), name
        np.testing.assert_allclose(theirs[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_operation_is_what_jax_has(tmp_path):
    def function(x):
        return {name: operation(x) for name, operation in OPERATIONS.items()}

    known = {*onnx_operations.ELEMENTWISE, *onnx_operations.OTHERS}
    assert known <= OPERATIONS.keys(), "one without a test"
    picture = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    write_onnx(function, picture, tmp_path / "x.onnx", {})
    images = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    assert_equal(jax.jit(jax.vmap(function))(images), run(tmp_path / "x.onnx", images))


NETWORKS = {
    "resnet": (make_encoder("tiny"), (40, 64), {}),
    "vit": (make_encoder("vit_tiny", normalisation="half"), (32, 48), {}),
    "unet": (SegmentationNet("tiny", 5, "unet"), (50, 70), {}),
    "deeplabv3": (SegmentationNet("tiny", 5, "deeplabv3"), (50, 70), {}),
    "linear": (SegmentationNet("tiny", 5, "linear", probe_stages=(4, 32)), (50, 70), {}),
    "dpt": (SegmentationNet("vit_tiny", 5, "dpt", dpt_features=8), (40, 64), {}),
    "depth": (SelfSupDepthNet("tiny", pose_encoder=""), (64, 96), {"method": "disparities"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_what_they_give_here(tmp_path, name):
    net, size, options = NETWORKS[name]
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)

    def apply(variables, images):
        found = net.apply(variables, images.astype(jnp.float32) / 255, train=False, **options)
        if isinstance(found, dict):
            return {str(key): value for key, value in found.items()}
        found = found if isinstance(found, tuple) else (found,)
        return {f"map_{place}": value for place, value in enumerate(found)}

    start = jax.eval_shape(lambda: net.init(jax.random.key(0), images / 255, False, **options))
    variables = randomise(start)

    def one(picture):
        return {key: value[0] for key, value in apply(variables, picture[None]).items()}

    path = tmp_path / "x.onnx"
    write_onnx(one, jax.ShapeDtypeStruct((*size, 3), jnp.uint8), path, {"classes": ["a"]})
    assert_equal(jax.jit(apply)(variables, images), run(path, images))
    model = onnx.load(path)
    assert {p.key: json.loads(p.value) for p in model.metadata_props} == {
        METADATA: {"classes": ["a"]}
    }
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_what_is_not_known_is_refused_by_name(tmp_path):
    picture = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    bad = {
        "operation 'sort'": lambda x: jnp.sort(x, 0),
        "operation 'scan'": lambda x: lax.map(jnp.cos, x),
        "a pad that cuts": lambda x: lax.pad(x, 0.0, ((-1, 0, 0), (0, 0, 0), (0, 0, 0))),
    }
    for message, function in bad.items():
        with pytest.raises(WeightsError, match=message):
            write_onnx(lambda x, f=function: {"y": f(x)}, picture, tmp_path / "x.onnx", {})
    assert not list(tmp_path.iterdir())
