"""Pure functions on arrays: cameras, sampling, losses, metrics; no flax, no config.

All work under jit, grad, vmap, pmap and shard_map; docs/library.md shows how. Only what is
imported here is public.
"""

from geoseg_jax.ops.camera import (
    backproject,
    compose,
    inverse,
    pose_from_twist,
    project,
    transform,
    warp_with_depth,
)
from geoseg_jax.ops.census import census_distance
from geoseg_jax.ops.disparity import depth_to_disparity, disparity_to_depth
from geoseg_jax.ops.flow_color import flow_to_color
from geoseg_jax.ops.flow_metrics import end_point_error
from geoseg_jax.ops.occlusion import forward_backward_check, range_map
from geoseg_jax.ops.photometric import automask, minimum_reprojection, photometric_error, ssim
from geoseg_jax.ops.reprojection import reprojection_loss
from geoseg_jax.ops.sampling import bilinear_sample, pixel_grid, resize_bilinear, warp_with_flow
from geoseg_jax.ops.smoothness import edge_aware_smoothness

__all__ = [
    "automask",
    "backproject",
    "bilinear_sample",
    "census_distance",
    "compose",
    "depth_to_disparity",
    "disparity_to_depth",
    "edge_aware_smoothness",
    "end_point_error",
    "flow_to_color",
    "forward_backward_check",
    "inverse",
    "minimum_reprojection",
    "photometric_error",
    "pixel_grid",
    "pose_from_twist",
    "project",
    "range_map",
    "reprojection_loss",
    "resize_bilinear",
    "ssim",
    "transform",
    "warp_with_depth",
    "warp_with_flow",
]
