"""The networks of self-supervised depth: disparity of one picture, motion between two."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from geoseg_jax.models import decoders, encoders, pose, unet
from geoseg_jax.models.intrinsics import LearnedIntrinsics

# The pose encoder's name where there is none of its own: the depth encoder sees either frame.
SHARED = "shared"


class SelfSupDepthNet(nn.Module):
    """Depth network (parts encoder, decoder, head) and pose network (part pose).

    And where cameras are unknown what is learned of them (part intrinsics).

    Attributes:
      encoder_name: the depth network's encoder (`encoders.ENCODERS`).
      decoder_channels: of the U-Net at strides 1, 2, 4, 8 and 16.
      decoder_padding: of the U-Net and of the head, 'reflect' or 'zero'.
      pose_encoder: the pose network's encoder, on two stacked frames; SHARED for the depth
        network's own on either frame, which depth and pose then train together (monodepth2's
        pose_model_type=shared); '' for no pose network (stereo alone needs none).
      scales: number of disparity maps, each half the size of the one before.
      dtype: what to compute in, float32 or bfloat16. Parameters, batch statistics, disparities and
        twists are float32 either way.
      initial_disparity: where the head starts, see unet.DisparityHead.
      normalisation: what the encoders expect of their input, a key of resnet.NORMALISATIONS.
      decoder_name: 'unet' or 'dpt' (decoders.DECODERS); a ViT goes with 'dpt' alone.
      dpt_features: of the DPT, see dpt.DPTDecoder.
      videos: how many cameras are to be learned; 0 for none. initial_fov, principal_point: how,
        see intrinsics.LearnedIntrinsics.
      offsets: of the sources of each picture's pairs, below 0 for an earlier frame; for SHARED.
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
    offsets: tuple[int, ...] = ()

    def setup(self):
        self.encoder = encoders.make_encoder(
            self.encoder_name, self.dtype, normalisation=self.normalisation
        )
        self.decoder = decoders.decoder_for(self)
        self.head = unet.DisparityHead(
            self.scales, self.decoder_padding, self.dtype, self.initial_disparity
        )
        if self.pose_encoder == SHARED:
            self.pose: nn.Module = pose.PoseHead(self.dtype)
        elif self.pose_encoder:
            self.pose = pose.PoseNet(self.pose_encoder, self.dtype, self.normalisation)
        if self.videos:
            self.intrinsics = LearnedIntrinsics(self.videos, self.initial_fov, self.principal_point)

    def disparities(self, images: jax.Array, train: bool) -> tuple[jax.Array, ...]:
        """Predicts sigmoid disparities, finest first: [N, H / 2**s, W / 2**s] float32 in (0, 1).

        images: [N, H, W, 3] RGB in [0, 1], H and W multiples of 32, or of 16 with a ViT
        (ValueError otherwise).
        """
        return self._decoded(self.encoder(images, train))

    def twists(self, pairs: jax.Array, train: bool) -> jax.Array:
        """Predicts [N, 6] (translation, rotation) from [N, H, W, 6], two RGB pictures in [0, 1].

        Batch statistics in training are over all N: give all pairs of a batch in one call.
        ValueError without a pose network that sees pairs.
        """
        if self.pose_encoder in ("", SHARED):
            raise ValueError(
                f"model.pose_encoder={self.pose_encoder!r}: this network has no pose part that "
                "sees pairs alone; set it to an encoder, e.g. resnet18"
            )
        return self.pose(pairs, train)

    def _decoded(self, stages: dict[int, jax.Array]) -> tuple[jax.Array, ...]:
        maps = self.head(self.decoder(stages))
        return tuple(maps[scale] for scale in range(self.scales))

    def _shared(
        self, images: jax.Array, pairs: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, ...], jax.Array]:
        """Predicts disparities and twists in one pass of the encoder over each frame once."""
        b, h, w, _ = images.shape
        pairs = pairs.reshape(b, len(self.offsets), h, w, 6)
        sources = [
            pairs[:, i, ..., :3] if offset < 0 else pairs[:, i, ..., 3:]
            for i, offset in enumerate(self.offsets)
        ]
        stages = self.encoder(jnp.concatenate((images, *sources)), train)
        target, *others = jnp.split(stages[32], 1 + len(sources))
        # The pairs of an example lie side by side, as they came.
        ordered = [
            (x, target) if o < 0 else (target, x) for x, o in zip(others, self.offsets, strict=True)
        ]
        earlier, later = (
            jnp.stack(maps, axis=1).reshape(-1, *target.shape[1:])
            for maps in zip(*ordered, strict=True)
        )
        disparities = self._decoded({stride: maps[:b] for stride, maps in stages.items()})
        return disparities, self.pose(earlier, later)

    def cameras(
        self, given: jax.Array, video: jax.Array, flipped: jax.Array, height: int, width: int
    ) -> jax.Array:
        """Returns learned intrinsics [B, 3, 3] in pixels, see intrinsics.LearnedIntrinsics."""
        return self.intrinsics(given, video, flipped, height, width)

    def camera_numbers(self) -> dict[str, jax.Array]:
        """Returns what was learned of the cameras, see intrinsics.LearnedIntrinsics.numbers."""
        return self.intrinsics.numbers()

    def __call__(
        self, images: jax.Array, pairs: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, ...], jax.Array | None]:
        """Returns disparities(images), twists(pairs); `init` runs it to make all parameters.

        Twists are None, and there is no part pose, where there is no pair (N = 0) or no pose
        network.
        """
        if self.videos and self.is_initializing():
            self.camera_numbers()
        if self.pose_encoder == SHARED and pairs.shape[0]:
            return self._shared(images, pairs, train)
        twists = self.twists(pairs, train) if self.pose_encoder and pairs.shape[0] else None
        return self.disparities(images, train), twists
