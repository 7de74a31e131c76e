"""What the kernels of losses read and write on an accelerator must not creep up.

Counted of the program before fusion, lowered for a GPU: any machine gives the same numbers, which
say nothing of how fast it is. A change that lowers a number may lower its bound.
"""

import jax
import jax.numpy as jnp
import pytest

from benchmarks import hlo, kernels
from geoseg_jax.ops import reprojection

SCALES, SOURCES, HEIGHT, WIDTH = 4, 2, 192, 640


def loss(disparities, poses, target, sources, intrinsics):
    return reprojection.reprojection_loss(disparities, poses, target, sources, intrinsics)[0]


@pytest.fixture(scope="module")
def found():
    """The kernels of the depth loss with its gradients, of one example."""
    shapes = (
        tuple((1, HEIGHT >> scale, WIDTH >> scale) for scale in range(SCALES)),
        (1, SOURCES, 4, 4),
        (1, HEIGHT, WIDTH, 3),
        (1, SOURCES, HEIGHT, WIDTH, 3),
        (1, 3, 3),
    )
    arrays = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        shapes,
        is_leaf=lambda node: isinstance(node[0], int),
    )
    return kernels_of(loss, *arrays)


def kernels_of(function, *arrays):
    """The kernels of a function with its gradients, before fusion."""
    traced = jax.jit(jax.value_and_grad(function, argnums=(0, 1))).trace(*arrays)
    text = traced.lower(lowering_platforms=("cuda",)).as_text("hlo")
    return kernels.kernels(hlo.parse(text))


def runs(found, kind):
    return sum(kernel.times for kernel in found if kernel.kind == kind)


def test_each_scale_reads_its_sources_twice_and_scatters_nothing(found):
    # The pixels above and those below, left and right beside each other; the backward pass none.
    assert runs(found, kernels.GATHER) == 2 * SCALES
    assert not [k.name for k in found if "scatter" in k.name]


def test_nothing_branches_nor_leaves_the_device(found):
    assert runs(found, kernels.CONDITIONAL) == 0
    assert runs(found, kernels.HOST) == 0


def test_bytes_a_pixel_stay_below_their_bound(found):
    """Of each pixel, scale and source. A map read or written once more adds 4."""
    maps = SCALES * SOURCES * HEIGHT * WIDTH
    moved = {
        kind: sum(k.times * k.bytes for k in found if k.kind == kind) / maps
        for kind in kernels.KINDS
    }
    # Two gathers of six numbers, read and written, and where each begins, with the frame's pixels.
    frame = (HEIGHT + 6) * (WIDTH + 6) / (HEIGHT * WIDTH)
    assert moved[kernels.GATHER] == pytest.approx(2 * (2 * 6 + 1) * 4 * frame, rel=1e-3)
    assert moved[kernels.POINTWISE_32] < 4800
    assert moved[kernels.REDUCE] < 360
