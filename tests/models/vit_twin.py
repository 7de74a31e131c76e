"""A vision transformer and DPT in PyTorch; needs PyTorch.

The names of the transformer are timm's, so that its state dict is one of timm's files; those of
DPT's decoder are ours, with dots.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, width: int, heads: int, scaled: bool):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        scales = (LayerScale(width), LayerScale(width)) if scaled else (nn.Identity(),) * 2
        self.ls1, self.ls2 = scales

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.proj(x)


class ViT(nn.Module):
    """place_cls: whether the class token has a position vector."""

    def __init__(self, width, depth, heads, grid, patch=16, registers=0, scaled=False, place_cls=1):
        super().__init__()
        self.grid, self.place_cls = grid, place_cls
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if registers:
            self.reg_token = nn.Parameter(torch.zeros(1, registers, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid**2 + place_cls, width))
        self.patch_embed = PatchEmbed(width, patch)
        self.blocks = nn.ModuleList(Block(width, heads, scaled) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
        """[N, 3, H, W] in [0, 1] -> four maps [N, C, h, w] and all tokens after the norm."""
        mean, std = (torch.tensor(v)[:, None, None] for v in (mean, std))
        x = self.patch_embed((images - mean) / std)
        n, width, rows, columns = x.shape
        place = self.pos_embed[:, self.place_cls :].reshape(1, self.grid, self.grid, width)
        place = F.interpolate(
            place.permute(0, 3, 1, 2), (rows, columns), mode="bicubic", antialias=True
        )
        x = (x + place).flatten(2).transpose(1, 2)
        first = [self.cls_token + self.pos_embed[:, :1] if self.place_cls else self.cls_token]
        if hasattr(self, "reg_token"):
            first.append(self.reg_token)
        first = [f.expand(n, -1, -1) for f in first]
        prefix = sum(f.shape[1] for f in first)
        x, maps = torch.cat([*first, x], dim=1), []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number % (len(self.blocks) // 4) == 0:
                maps.append(self.norm(x) if number == len(self.blocks) else x)
        maps = [m[:, prefix:].transpose(1, 2).reshape(n, width, rows, columns) for m in maps]
        return maps, self.norm(x)


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
