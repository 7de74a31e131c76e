"""The networks of self-supervised depth: disparity of one picture, motion between two."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import decoders, encoders, pose, unet
from geoseg_jax.models.intrinsics import LearnedIntrinsics


class SelfSupDepthNet(nn.Module):
    """Depth network (parts encoder, decoder, head) and pose network (part pose).

    And where cameras are unknown what is learned of them (part intrinsics).

    Attributes:
      encoder_name: the depth network's encoder (`encoders.ENCODERS`).
      decoder_channels: of the U-Net at strides 1, 2, 4, 8 and 16.
      decoder_padding: of the U-Net and of the head, 'reflect' or 'zero'.
      pose_encoder: the pose network's encoder; '' for none (stereo alone needs none).
      scales: number of disparity maps, each half the size of the one before.
      dtype: what to compute in, float32 or bfloat16. Parameters, batch statistics, disparities and
        twists are float32 either way.
      initial_disparity: where the head starts, see unet.DisparityHead.
      normalisation: what the depth encoder's weights expect, a key of resnet.NORMALISATIONS.
      decoder_name: 'unet' or 'dpt' (decoders.DECODERS); a ViT goes with 'dpt' alone.
      dpt_features: of the DPT, see dpt.DPTDecoder.
      videos: how many cameras are to be learned; 0 for none. initial_fov, principal_point: how,
        see intrinsics.LearnedIntrinsics.
    """

    encoder_name: str = "resnet18"
    decoder_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder_padding: str = "reflect"
    pose_encoder: str = "resnet18"
    scales: int = 4
    dtype: jnp.dtype = jnp.float32
    initial_disparity: float | None = None
    normalisation: str = "imagenet"
    decoder_name: str = "unet"
    dpt_features: int = 256
    videos: int = 0
    initial_fov: float = 60.0
    principal_point: bool = True

    def setup(self):
        self.encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation
        )
        self.decoder = decoders.make_decoder(
            self.decoder_name,
            self.encoder_name,
            self.dtype,
            channels=self.decoder_channels,
            padding=self.decoder_padding,
            dpt_features=self.dpt_features,
        )
        self.head = unet.DisparityHead(
            self.scales, self.decoder_padding, self.dtype, self.initial_disparity
        )
        if self.pose_encoder:
            self.pose = pose.PoseNet(self.pose_encoder, self.dtype)
        if self.videos:
            self.intrinsics = LearnedIntrinsics(self.videos, self.initial_fov, self.principal_point)

    def disparities(self, images: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Sigmoid disparities, finest first: [N, H / 2**s, W / 2**s] float32 in (0, 1).

        images: [N, H, W, 3] RGB in [0, 1], H and W multiples of 32, or of 16 with a ViT
        (ValueError otherwise).
        """
        maps = self.head(self.decoder(self.encoder(images, train)))
        return tuple(maps[scale] for scale in range(self.scales))

    def twists(self, pairs: jax.Array, train: bool) -> jax.Array:
        """[N, 6] (translation, rotation) from [N, H, W, 6], two RGB pictures in [0, 1].

        Batch statistics in training are over all N: give all pairs of a batch in one call.
        ValueError without a pose network.
        """
        if not self.pose_encoder:
            raise ValueError("this network has no pose part; set model.pose_encoder, e.g. resnet18")
        return self.pose(pairs, train)

    def cameras(
        self, given: jax.Array, video: jax.Array, flipped: jax.Array, height: int, width: int
    ) -> jax.Array:
        """Learned intrinsics [B, 3, 3] in pixels, see intrinsics.LearnedIntrinsics."""
        return self.intrinsics(given, video, flipped, height, width)

    def camera_numbers(self) -> dict[str, jax.Array]:
        """What was learned of each camera, [videos] each, see intrinsics.LearnedIntrinsics."""
        return self.intrinsics.numbers()

    def __call__(
        self, images: jax.Array, pairs: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, ...], jax.Array | None]:
        """(disparities(images), twists(pairs)); what `init` runs to make all parameters.

        Twists are None, and there is no part pose, where there is no pair (N = 0) or no pose
        network.
        """
        if self.videos and self.is_initializing():
            self.camera_numbers()
        twists = self.twists(pairs, train) if self.pose_encoder and pairs.shape[0] else None
        return self.disparities(images, train), twists
