"""Flow in PyTorch: the network and the loss of UFlow on a ResNet, as one would write them there.

Jonschkowski et al., "What Matters in Unsupervised Optical Flow", ECCV 2020, as
geoseg_jax.models.flow_pyramid and geoseg_jax.tasks.flow_photometric have it. Flows are
[N, 2, h, w], u first, in pixels of their own map unless told otherwise.
"""

import torch
import torch.nn.functional as F
from torch import nn

STRIDES = (32, 16, 8, 4)
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))  # channels, dilation
LUMA = (0.299, 0.587, 0.114)


def leaky(x):
    return F.leaky_relu(x, 0.1, inplace=True)


def conv3x3(inputs: int, outputs: int, dilation: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, 1, dilation, dilation)


class Reassemble(nn.Module):
    def __init__(self, channels, width: int):
        super().__init__()
        strides = sorted(STRIDES)
        self.project = nn.ModuleDict(
            {str(s): nn.Conv2d(c, width, 1) for s, c in zip(strides, channels, strict=True)}
        )

    def forward(self, stages):
        return {int(s): leaky(p(x)) for (s, p), x in zip(self.project.items(), stages, strict=True)}


class DenseDecoder(nn.Module):
    def __init__(self, inputs: int, layers):
        super().__init__()
        self.conv = nn.ModuleList()
        for features in layers:
            self.conv.append(conv3x3(inputs, features))
            inputs += features
        self.flow = conv3x3(layers[-1], 2)

    def forward(self, x):
        for layer in self.conv:
            context = leaky(layer(x))
            x = torch.cat([x, context], 1)
        return self.flow(context).float(), context


class ContextNetwork(nn.Module):
    def __init__(self, inputs: int, count: int):
        super().__init__()
        self.conv = nn.ModuleList()
        for features, dilation in (*CONTEXT[: count - 1], CONTEXT[-1]):
            self.conv.append(conv3x3(inputs, features, dilation))
            inputs = features
        self.flow = conv3x3(inputs, 2)

    def forward(self, x):
        for layer in self.conv:
            x = leaky(layer(x))
        return self.flow(x).float()


class Pyramid(nn.Module):
    """Stages of both frames at strides 4 to 32 to the finest flow, of stride 4."""

    def __init__(self, channels, width: int, radius: int, layers, context_layers: int):
        super().__init__()
        self.radius, self.width = radius, width
        self.reassemble = Reassemble(channels, width)
        self.decoder = DenseDecoder(2 * width + 2 + (2 * radius + 1) ** 2, layers)
        self.carry = conv3x3(layers[-1], width)
        self.context = ContextNetwork(layers[-1] + 2, context_layers) if context_layers else None

    def forward(self, first, second):
        flow = context = None
        for stride in STRIDES:
            a, b = first[stride], second[stride]
            size = a.shape[2:]
            if flow is None:
                flow, context = a.new_zeros(len(a), 2, *size).float(), torch.zeros_like(a)
            else:
                flow = 2 * enlarge(flow, size)
                context = self.carry(enlarge(context, size))
                b = warp(b.float(), flow, "zeros").to(b.dtype)
            costs = leaky(cost_volume(*normalise_pair(a, b), self.radius))
            residual, context = self.decoder(torch.cat([context, flow.to(a.dtype), costs, a], 1))
            flow = flow + residual
        if self.context is None:
            return flow
        return flow + self.context(torch.cat([context, flow.to(context.dtype)], 1))


def enlarge(x, size):
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def warp(x, flow, border: str):
    """Reads x [N, C, h, w] at every pixel plus flow."""
    height, width = x.shape[2:]
    u, v = flow.unbind(1)
    columns = torch.arange(width, device=x.device) + u
    rows = torch.arange(height, device=x.device)[:, None] + v
    grid = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], -1)
    return F.grid_sample(x, grid, padding_mode=border, align_corners=True)


def normalise_pair(a, b):
    """Takes each channel's common mean and deviation out of both maps of an example."""
    variance, mean = torch.var_mean(torch.stack([a, b]).float(), (0, 3, 4), correction=0)
    scale, mean = torch.rsqrt(variance + 1e-5)[..., None, None], mean[..., None, None]
    return (((x - mean) * scale).to(x.dtype) for x in (a, b))


def cost_volume(a, b, radius: int):
    height, width = a.shape[2:]
    b, side = F.pad(b, (radius,) * 4), range(2 * radius + 1)
    costs = [(a * b[:, :, y : y + height, x : x + width]).mean(1) for y in side for x in side]
    return torch.stack(costs, 1)


def census(picture):
    """Computes soft census transforms [N, H, W, 7, 7] of [N, 3, H, W] in [0, 1]."""
    grey = sum(255 * weight * picture[:, i] for i, weight in enumerate(LUMA))
    around = F.pad(grey[:, None], (3, 3, 3, 3), mode="replicate")[:, 0]
    difference = around.unfold(1, 7, 1).unfold(2, 7, 1) - grey[..., None, None]
    return difference / torch.sqrt(0.81 + difference**2)


def data_term(warped, targets, seen):
    """Averages (d + 0.01)^0.4 over what is seen, d the soft Hamming distance of census."""
    squared = (census(warped) - census(targets)) ** 2
    error = ((squared / (0.1 + squared)).sum((3, 4)) + 0.01) ** 0.4
    inner = torch.zeros_like(seen)
    inner[:, 3:-3, 3:-3] = seen[:, 3:-3, 3:-3]
    return (error * inner).sum() / (inner.sum() + 1e-6)


def visible(flow, backward):
    """Finds the pixels that come back to where they started, float [N, H, W]."""
    height, width = flow.shape[2:]
    returned = warp(backward, flow, "border")
    length = (flow**2).sum(1) + (returned**2).sum(1)
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    inside = (x >= -1e-3) & (x <= width - 1 + 1e-3) & (y >= -1e-3) & (y <= height - 1 + 1e-3)
    gap = ((flow + returned) ** 2).sum(1)
    return (inside & (gap < 0.01 * length + 0.5)).float()


def smoothness(flow, pictures, edge_constant: float):
    """Averages second differences of flow where the picture, of the flow's size, has no edge."""
    total = 0.0
    for axis in (2, 3):
        change = torch.diff(flow, n=2, dim=axis)
        length = pictures.shape[axis] - 2
        edge = pictures.narrow(axis, 2, length) - pictures.narrow(axis, 0, length)
        weight = torch.exp(-edge_constant * edge.abs().mean(1))
        total = total + (torch.sqrt(change**2 + 1e-3**2).sum(1) * weight).mean()
    return total


def photometric_loss(flow, frames, smooth_weight: float, edge_constant: float):
    """Computes the loss of flow [2 N, 2, h, w] on frames [2 N, 3, H, W] in [0, 1].

    The first N of either are there, the others the way back, of the same pairs.
    """
    small, (height, width) = flow.shape[2:], frames.shape[2:]
    ratio = height // small[0]
    full = ratio * enlarge(flow, (height, width))
    fixed = full.detach()
    seen = visible(fixed, fixed.roll(len(flow) // 2, 0))
    warped = warp(frames.roll(len(flow) // 2, 0), full, "border")
    smooth = smoothness(flow, F.avg_pool2d(frames, ratio), edge_constant)
    return data_term(warped, frames, seen) + smooth_weight * smooth
