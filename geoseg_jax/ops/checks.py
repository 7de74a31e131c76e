"""What kernels refuse while they are traced."""

import jax
import jax.numpy as jnp


def check_pictures(**pictures: jax.Array) -> None:
    """Refuses pictures of whole numbers, as files hold them: their sums and differences wrap.

    Raises:
      ValueError: naming the first.
    """
    for name, picture in pictures.items():
        if not jnp.issubdtype(picture.dtype, jnp.floating):
            raise ValueError(f"{name} is {picture.dtype}; pictures are in [0, 1]: divide by 255")
