"""Networks in flax.linen: NHWC, RGB in [0, 1], float32 parameters, every stage returned."""

from geoseg_jax.models.decoders import DECODERS, make_decoder
from geoseg_jax.models.depth import SelfSupDepthNet
from geoseg_jax.models.encoders import ENCODERS, is_vit, make_encoder
from geoseg_jax.models.pose import PoseNet
from geoseg_jax.models.reassemble import Reassemble
from geoseg_jax.models.segmentation import SegmentationNet
from geoseg_jax.models.unet import DisparityHead, UNetDecoder

__all__ = [
    "DECODERS",
    "ENCODERS",
    "DisparityHead",
    "PoseNet",
    "Reassemble",
    "SegmentationNet",
    "SelfSupDepthNet",
    "UNetDecoder",
    "is_vit",
    "make_decoder",
    "make_encoder",
]
