"""Cameras that nobody calibrated: intrinsics as parameters, one set for each video.

Gordon, Li, Jonschkowski, Angelova, "Depth from Videos in the Wild: Unsupervised Monocular Depth
Learning from Unknown Cameras", ICCV 2019: the photometric error determines the focal lengths as
soon as the camera turns. There a network predicts them from two frames, through a softplus and in
shares of the picture. What belongs to the lens is the same in every frame of a video, so that here
they are plain parameters, as Li, Gordon, Zhao, Casser, Angelova, "Unsupervised Monocular Depth
Learning in Dynamic Scenes", CoRL 2020, have them: nothing in a picture can talk them into
explaining its own error, and one number a camera can be read, compared and reported.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn


class LearnedIntrinsics(nn.Module):
    """The intrinsic matrix of each video's camera (part intrinsics).

    In shares of the width, as if pixels were square, the focal lengths are softplus(focal_x) and
    softplus(focal_y): above zero, and with a slope near one half where cameras are. How much
    resizing has squeezed the pixels and where the principal point is expected is read from the
    records' own intrinsics, which are right about both even where their field of view is a guess.

    Attributes:
      videos: number of cameras.
      initial_fov: degrees, the horizontal field of view that learning starts from.
      principal_point: learn two focal lengths and how far the principal point is from where the
        records have it, four numbers as in the papers; otherwise one focal length alone.
    """

    videos: int
    initial_fov: float
    principal_point: bool = True

    def setup(self):
        start = inverse_softplus(0.5 / math.tan(math.radians(self.initial_fov) / 2))
        focal, offset = nn.initializers.constant(start), nn.initializers.zeros
        # Vectors, and so spared by weight decay: a camera is not simpler for being near zero.
        self.focal_x = self.param("focal_x", focal, (self.videos,))
        if self.principal_point:
            self.focal_y = self.param("focal_y", focal, (self.videos,))
            self.offset_x = self.param("offset_x", offset, (self.videos,))
            self.offset_y = self.param("offset_y", offset, (self.videos,))

    def numbers(self) -> dict[str, jax.Array]:
        """Returns what was learned, float32 [videos] each.

        focal_x, focal_y: as shares of the width, in square pixels; principal_x, principal_y: how
        far the principal point lies to the right of and below the records' one, as shares of width
        and height.
        """
        if not self.principal_point:
            return dict.fromkeys(("focal_x", "focal_y"), nn.softplus(self.focal_x))
        focal = {"focal_x": nn.softplus(self.focal_x), "focal_y": nn.softplus(self.focal_y)}
        return focal | {"principal_x": self.offset_x, "principal_y": self.offset_y}

    def __call__(
        self, given: jax.Array, video: jax.Array, flipped: jax.Array, height: int, width: int
    ) -> jax.Array:
        """Returns intrinsics in pixels of pictures of height x width, float32 [B, 3, 3].

        Args:
          given: the records' intrinsics [B, 3, 3], of which principal point and fy / fx count.
          video: int32 [B], in [0, videos).
          flipped: bool [B]: the picture is mirrored, `given` with it, and so will the offset be.
        """
        number = {name: values[video] for name, values in self.numbers().items()}
        fx = width * number["focal_x"]
        fy = width * number["focal_y"] * given[:, 1, 1] / given[:, 0, 0]
        cx, cy = given[:, 0, 2], given[:, 1, 2]
        if self.principal_point:
            cx += jnp.where(flipped, -width, width) * number["principal_x"]
            cy += height * number["principal_y"]
        zero, one = jnp.zeros_like(fx), jnp.ones_like(fx)
        rows = [[fx, zero, cx], [zero, fy, cy], [zero, zero, one]]
        return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def inverse_softplus(value: float) -> float:
    """Returns x with log(1 + e^x) = value > 0."""
    return value + math.log(-math.expm1(-value))
