"""Vision transformers in PyTorch, and a masked autoencoder on them.

The names of the transformer are timm's, so that its state dict is one of timm's files. What is
beyond it follows the masked autoencoder as published (arXiv:2111.06377).
"""

import torch
import torch.nn.functional as F
from torch import nn

# Width, depth, heads.
KINDS = {
    "vit_tiny": (32, 4, 2),
    "vit_s16": (384, 12, 6),
    "vit_b16": (768, 12, 12),
    "vit_l16": (1024, 24, 16),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, tokens, width))


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
    def __init__(self, width: int, heads: int, scaled: bool = False):
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
    """Sees [N, 3, H, W] in [0, 1]. place_cls: whether the class token has a position vector."""

    def __init__(
        self,
        width,
        depth,
        heads,
        grid=14,
        patch=16,
        registers=0,
        scaled=False,
        place_cls=1,
        mean=MEAN,
        std=STD,
    ):
        super().__init__()
        self.grid, self.place_cls = grid, place_cls
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if registers:
            self.reg_token = nn.Parameter(torch.zeros(1, registers, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid**2 + place_cls, width))
        self.patch_embed = PatchEmbed(width, patch)
        self.blocks = nn.ModuleList(Block(width, heads, scaled) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    @property
    def prefix(self) -> int:
        """Counts the tokens before those of the patches."""
        return 1 + (self.reg_token.shape[1] if hasattr(self, "reg_token") else 0)

    def forward(self, images):
        """Returns four maps [N, C, h, w] and all tokens after the norm."""
        x, (rows, columns) = self.embed(images)
        maps = []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number % (len(self.blocks) // 4) == 0:
                maps.append(self.norm(x) if number == len(self.blocks) else x)
        shape = len(images), -1, rows, columns
        return [m[:, self.prefix :].transpose(1, 2).reshape(shape) for m in maps], self.norm(x)

    def tokens(self, images, keep=None):
        """Returns all tokens after the norm, computed from the patches keep [N, K], or from all."""
        x, _ = self.embed(images, keep)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def embed(self, images, keep=None):
        x = self.patch_embed((images - self.mean) / self.std)
        n, width, rows, columns = x.shape
        place = self.pos_embed[:, self.place_cls :]
        if (rows, columns) != (self.grid, self.grid):
            place = place.reshape(1, self.grid, self.grid, width).permute(0, 3, 1, 2)
            place = F.interpolate(place, (rows, columns), mode="bicubic", antialias=True)
            place = place.flatten(2).transpose(1, 2)
        x = x.flatten(2).transpose(1, 2) + place
        if keep is not None:
            x = x.gather(1, keep[..., None].expand(-1, -1, width))
        first = [self.cls_token + self.pos_embed[:, :1] if self.place_cls else self.cls_token]
        if hasattr(self, "reg_token"):
            first.append(self.reg_token)
        first = [f.expand(n, -1, -1) for f in first]
        return torch.cat([*first, x], dim=1), (rows, columns)


class MaeDecoder(nn.Module):
    """Tokens of the patches that are seen, the class token first, to features of all patches."""

    def __init__(self, inputs: int, width: int, depth: int, heads: int, rows: int, columns: int):
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.register_buffer("place", sincos(rows, columns, width), persistent=False)

    def forward(self, tokens, keep):
        x = self.embed(tokens)
        unseen = self.mask_token.to(x.dtype).expand(len(x), len(self.place), -1)
        index = keep[..., None].expand(-1, -1, x.shape[-1])
        patches = unseen.scatter(1, index, x[:, 1:]) + self.place.to(x.dtype)
        x = torch.cat([x[:, :1], patches], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:]


def sincos(rows: int, columns: int, width: int) -> torch.Tensor:
    """Computes MAE's positions [rows * columns, width]: sin x, cos x, sin y, cos y."""
    frequency = 1e4 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequency for axis in (x, y)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1).float()


def patchify(images: torch.Tensor, patch: int = 16) -> torch.Tensor:
    """Cuts [N, 3, H, W] into [N, patches, patch * patch * 3], colours innermost."""
    n, channels, height, width = images.shape
    x = images.reshape(n, channels, height // patch, patch, width // patch, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, patch * patch * channels)
