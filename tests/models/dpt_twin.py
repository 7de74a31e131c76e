"""DPT's decoder in PyTorch, with our names with dots; needs PyTorch."""

import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv_0, self.conv_1 = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))

    def forward(self, x):
        return x + self.conv_1(F.relu(self.conv_0(F.relu(x))))


def enlarge(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Fusion(nn.Module):
    def __init__(self, width: int, deepest: bool):
        super().__init__()
        if not deepest:
            self.unit_0 = Residual(width)
        self.unit_1, self.project = Residual(width), nn.Conv2d(width, width, 1)

    def forward(self, x, stage):
        x = stage if x is None else x + self.unit_0(stage)
        return self.project(enlarge(self.unit_1(x)))  # in the order of the paper


class DPT(nn.Module):
    """On four maps [N, C, H / 16, W / 16], H and W multiples of 32."""

    def __init__(self, width: int, features: int):
        super().__init__()
        self.reassemble = nn.ModuleDict()
        for stride in (4, 8, 16, 32):
            inner = width * stride // 32
            self.reassemble[f"project_{stride}"] = nn.Conv2d(width, inner, 1)
            if stride < 16:
                factor = 16 // stride
                layer = nn.ConvTranspose2d(inner, inner, factor, factor)
                self.reassemble[f"resample_{stride}"] = layer
            elif stride > 16:
                self.reassemble[f"resample_{stride}"] = nn.Conv2d(inner, inner, 3, 2, 1)
            adapt = nn.Conv2d(inner, features, 3, 1, 1, bias=False)
            self.add_module(f"adapt_{stride}", adapt)
            self.add_module(f"fuse_{stride}", Fusion(features, stride == 32))
        self.head_0 = nn.Conv2d(features, features // 2, 3, 1, 1)
        self.head_1 = nn.Conv2d(features // 2, 32, 3, 1, 1)

    def forward(self, maps):
        x, outputs = None, {}
        for scale, stage in zip((4, 3, 2, 1), reversed(maps), strict=True):
            stride = 2 ** (scale + 1)
            stage = self.reassemble[f"project_{stride}"](stage)
            if stride != 16:
                stage = self.reassemble[f"resample_{stride}"](stage)
            x = getattr(self, f"fuse_{stride}")(x, getattr(self, f"adapt_{stride}")(stage))
            outputs[scale] = x
        del outputs[4]
        return outputs | {0: F.relu(self.head_1(enlarge(self.head_0(x))))}
