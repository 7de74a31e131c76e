"""Pictures as files hold them, which wrap where they are added, are refused by every kernel."""

import jax.numpy as jnp
import pytest

from geoseg_jax import ops

FILE = jnp.full((2, 8, 8, 3), 200, jnp.uint8)
TRUE = FILE / 255
MAP, POSES = jnp.ones((2, 8, 8)), jnp.broadcast_to(jnp.eye(4), (2, 1, 4, 4))
CAMERA = jnp.broadcast_to(jnp.eye(3), (2, 3, 3))


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (lambda: ops.ssim(TRUE, FILE), "b"),
        (lambda: ops.photometric_error(FILE, TRUE), "predicted"),
        (lambda: ops.census_distance(FILE, FILE), "a"),
        (lambda: ops.edge_aware_smoothness(MAP, FILE), "image"),
        (lambda: ops.reprojection_loss([MAP], POSES, TRUE, FILE[:, None], CAMERA), "sources"),
    ],
)
def test_pictures_of_whole_numbers(kernel, name):
    with pytest.raises(ValueError, match=f"^{name} is uint8; pictures are in .* divide by 255"):
        kernel()
