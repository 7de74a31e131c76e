"""The self-supervised depth loss in PyTorch, as a competent user writes it on NCHW tensors.

It means the same as geoseg_jax.ops.reprojection: minimum reprojection error over the sources that
see a pixel, auto-mask, edge-aware smoothness (monodepth2, arXiv:1806.01260), with the pictures'
coordinates right (pixel centres, no drift). The errors of the unwarped sources and the target's
window statistics are computed once for all scales.
"""

import torch
import torch.nn.functional as F

C1, C2 = 0.01**2, 0.03**2
NEAREST, SLACK = 1e-3, 1e-3


def poses_from_twists(twists: torch.Tensor) -> torch.Tensor:
    """Computes exp of se(3): [N, 6] (translation, rotation) -> [N, 4, 4]."""
    v, w = twists[:, :3], twists[:, 3:]
    zero = torch.zeros_like(w[:, 0])
    rows = [
        torch.stack([zero, -w[:, 2], w[:, 1], v[:, 0]], -1),
        torch.stack([w[:, 2], zero, -w[:, 0], v[:, 1]], -1),
        torch.stack([-w[:, 1], w[:, 0], zero, v[:, 2]], -1),
        torch.stack([zero, zero, zero, zero], -1),
    ]
    return torch.linalg.matrix_exp(torch.stack(rows, -2))


def window_mean(x: torch.Tensor) -> torch.Tensor:
    """Computes 3x3 means, mirrored at the border. [N, C, H, W]."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)


class Target:
    """A target picture [B, 3, H, W] and what SSIM needs of it."""

    def __init__(self, picture: torch.Tensor):
        self.picture = picture[:, None]
        self.mean = window_mean(picture)[:, None]
        self.variance = window_mean(picture**2)[:, None] - self.mean**2

    def error(self, views: torch.Tensor, ssim_weight: float) -> torch.Tensor:
        """Computes the photometric error [B, S, H, W] of views [B, S, 3, H, W]."""
        mean = window_mean(views.flatten(0, 1)).view_as(views)
        square = window_mean((views**2).flatten(0, 1)).view_as(views)
        product = window_mean((views * self.picture).flatten(0, 1)).view_as(views)
        variance, covariance = square - mean**2, product - mean * self.mean
        above = (2 * mean * self.mean + C1) * (2 * covariance + C2)
        below = (mean**2 + self.mean**2 + C1) * (variance + self.variance + C2)
        ssim = ((1 - above / below) / 2).clamp(0, 1).mean(2)
        return ssim_weight * ssim + (1 - ssim_weight) * (views - self.picture).abs().mean(2)


def warp(sources, depth, rays, intrinsics, poses):
    """Warps sources [B, S, 3, H, W] to the target; returns which pixels are seen, [B, S, H, W]."""
    b, s, _, height, width = sources.shape
    points = depth.flatten(2) * rays
    camera = intrinsics[:, None] @ poses[:, :, :3]
    points = camera[..., :3] @ points[:, None] + camera[..., 3:]
    z = points[:, :, 2]
    in_front = z >= NEAREST
    xy = points[:, :, :2] / torch.where(in_front, z, 1.0)[:, :, None]
    x, y = xy.unbind(2)
    seen = in_front & (x >= -SLACK) & (x <= width - 1 + SLACK)
    seen &= (y >= -SLACK) & (y <= height - 1 + SLACK)
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    warped = F.grid_sample(
        sources.flatten(0, 1),
        grid.view(b * s, height, width, 2),
        padding_mode="border",
        align_corners=True,
    )
    return warped.view_as(sources), seen.view(b, s, height, width)


def smoothness(disparity: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    """Averages edge-aware first differences of the mean-normalised disparity [B, 1, h, w]."""
    disparity = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    along_x = (disparity[..., 1:] - disparity[..., :-1]).abs()
    along_y = (disparity[..., 1:, :] - disparity[..., :-1, :]).abs()
    edge_x = (picture[..., 1:] - picture[..., :-1]).abs().mean(1, keepdim=True)
    edge_y = (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean(1, keepdim=True)
    return (along_x * torch.exp(-edge_x)).mean() + (along_y * torch.exp(-edge_y)).mean()


def pixel_rays(intrinsics: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Computes K^-1 (x, y, 1) of every pixel: [B, 3, H * W]."""
    options = {"device": intrinsics.device, "dtype": intrinsics.dtype}
    y, x = torch.meshgrid(
        torch.arange(height, **options), torch.arange(width, **options), indexing="ij"
    )
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    return torch.linalg.inv(intrinsics) @ pixels


def reprojection_loss(
    disparities,
    poses,
    target,
    sources,
    intrinsics,
    *,
    min_depth=0.1,
    max_depth=100.0,
    ssim_weight=0.85,
    smoothness_weight=1e-3,
):
    """Computes the loss, a scalar.

    Args:
      disparities: [B, h_s, w_s] in [0, 1], finest first.
      poses: source_from_target [B, S, 4, 4].
      target: [B, 3, H, W] in [0, 1]. sources: [B, S, 3, H, W].
      intrinsics: [B, 3, 3] in pixels.
    """
    height, width = target.shape[2:]
    view = Target(target)
    identity = view.error(sources, ssim_weight).min(1, keepdim=True).values
    rays = pixel_rays(intrinsics, height, width)
    total = 0.0
    for scale, disparity in enumerate(disparities):
        disparity = disparity[:, None]
        full = F.interpolate(disparity, (height, width), mode="bilinear", align_corners=False)
        depth = 1 / (1 / max_depth + (1 / min_depth - 1 / max_depth) * full)
        warped, seen = warp(sources, depth, rays, intrinsics, poses)
        errors = view.error(warped, ssim_weight).masked_fill(~seen, float("inf"))
        total = total + torch.cat([errors, identity], 1).min(1).values.mean()
        picture = F.interpolate(target, disparity.shape[2:], mode="bilinear", align_corners=False)
        total = total + smoothness_weight / 2**scale * smoothness(disparity, picture)
    return total / len(disparities)
