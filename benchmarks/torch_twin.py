"""The same networks in PyTorch, as one would write them there: an oracle and an opponent.

Tests compare values with it, benchmarks/train_step.py compares speed. Networks follow torchvision's
ResNet (its names and its numbers) and monodepth2's decoder and pose network as published
(arXiv:1806.01260); pictures are NCHW here.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs: int, features: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, features, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.downsample = _shortcut(inputs, features, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs: int, features: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, features, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.conv3 = nn.Conv2d(features, 4 * features, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * features)
        self.downsample = _shortcut(inputs, 4 * features, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.downsample(x), inplace=True)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


# Block, blocks in each stage, channels of the stem.
KINDS = {
    "tiny": (BasicBlock, (1, 1, 1, 1), 8),
    "mini50": (Bottleneck, (1, 2, 2, 2), 4),  # a ResNet-50 in small, for tests
    "resnet18": (BasicBlock, (2, 2, 2, 2), 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 64),
    "resnet101": (Bottleneck, (3, 4, 23, 3), 64),
}


class ResNet(nn.Module):
    """Features at strides 2, 4, 8, 16 and 32 of RGB in [0, 1], as a list."""

    def __init__(self, kind: str, frames: int = 1):
        super().__init__()
        block, depths, width = KINDS[kind]
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("mean", mean.repeat(frames)[:, None, None], persistent=False)
        self.register_buffer("std", std.repeat(frames)[:, None, None], persistent=False)
        self.conv1 = nn.Conv2d(3 * frames, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.channels = [width]
        for stage, depth in enumerate(depths):
            blocks = []
            for i in range(depth):
                inputs = self.channels[-1] if i == 0 else width * 2**stage * block.expansion
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(inputs, width * 2**stage, stride))
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            self.channels.append(width * 2**stage * block.expansion)

    def forward(self, images):
        x = self.conv1((images - self.mean) / self.std)
        features = [F.relu(self.bn1(x), inplace=True)]
        x = self.maxpool(features[0])
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


class Conv3x3(nn.Module):
    def __init__(self, inputs: int, outputs: int, padding: str):
        super().__init__()
        mode = {"reflect": "reflect", "zero": "zeros"}[padding]
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)

    def forward(self, x):
        return self.conv(x)


class Decoder(nn.Module):
    """Encoder features to features at strides 1, 2, 4, 8 and 16, as {scale: features}."""

    def __init__(self, encoder_channels, channels=(16, 32, 64, 128, 256), padding="reflect"):
        super().__init__()
        self.upconv = nn.ModuleDict()
        inputs = encoder_channels[-1]
        for level in reversed(range(len(channels))):
            width = channels[level]
            self.upconv[f"{level}_0"] = Conv3x3(inputs, width, padding)
            skip = encoder_channels[level - 1] if level > 0 else 0
            self.upconv[f"{level}_1"] = Conv3x3(width + skip, width, padding)
            inputs = width

    def forward(self, features):
        x, outputs = features[-1], {}
        for level in reversed(range(len(features))):
            x = F.elu(self.upconv[f"{level}_0"](x), inplace=True)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            if level > 0:
                x = torch.cat([x, features[level - 1]], 1)
            x = F.elu(self.upconv[f"{level}_1"](x), inplace=True)
            outputs[level] = x
        return outputs


class Head(nn.Module):
    """Sigmoid disparities [N, H / 2**s, W / 2**s], finest first."""

    def __init__(self, channels=(16, 32, 64, 128, 256), scales=4, padding="reflect"):
        super().__init__()
        self.dispconv = nn.ModuleList(Conv3x3(channels[s], 1, padding) for s in range(scales))

    def forward(self, features):
        logits = [layer(features[s])[:, 0] for s, layer in enumerate(self.dispconv)]
        return [torch.sigmoid(x.float()) for x in logits]


class PoseNet(nn.Module):
    """Two stacked frames [N, 6, H, W] to twists [N, 6], translation first."""

    def __init__(self, kind: str):
        super().__init__()
        self.encoder = ResNet(kind, frames=2)
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], 256, 1)
        self.pose = nn.ModuleList(
            [
                nn.Conv2d(256, 256, 3, 1, 1),
                nn.Conv2d(256, 256, 3, 1, 1),
                nn.Conv2d(256, 6, 1),
            ]
        )

    def forward(self, frames):
        x = F.relu(self.squeeze(self.encoder(frames)[-1]), inplace=True)
        x = F.relu(self.pose[0](x), inplace=True)
        x = F.relu(self.pose[1](x), inplace=True)
        return 0.01 * self.pose[2](x).float().mean((2, 3))


class DepthNet(nn.Module):
    """geoseg_jax.models.SelfSupDepthNet, part by part."""

    def __init__(
        self,
        encoder="resnet18",
        pose_encoder="resnet18",
        padding="reflect",
        channels=(16, 32, 64, 128, 256),
        scales=4,
    ):
        super().__init__()
        self.encoder = ResNet(encoder)
        self.decoder = Decoder(self.encoder.channels, channels, padding)
        self.head = Head(channels, scales, padding)
        self.pose = PoseNet(pose_encoder)

    def forward(self, images, pairs):
        return self.head(self.decoder(self.encoder(images))), self.pose(pairs)


def load_flax(module: nn.Module, variables: dict) -> None:
    """Copies a flax module's parameters and batch statistics into its twin; all must match."""
    tensors = flax_to_torch(variables["params"])
    tensors |= flax_to_torch(variables.get("batch_stats", {}))
    state = module.state_dict()
    for name in tensors.keys() & state.keys():
        if name.endswith(EMBEDDINGS):
            tensors[name] = tensors[name].reshape(state[name].shape)
    counters = {k: v for k, v in state.items() if k.endswith("num_batches_tracked")}
    module.load_state_dict(tensors | counters)


def gradients(module: nn.Module) -> dict[str, torch.Tensor]:
    """Returns {torch name: gradient} of all parameters."""
    return {name: p.grad for name, p in module.named_parameters()}


def flax_to_torch(tree: dict) -> dict[str, torch.Tensor]:
    """Converts flax's parameters, or a tree like them, to PyTorch's names and axes."""
    return {name: _to_torch(name, value) for name, value in _flatten(tree)}


LEAVES = {"kernel": "weight", "scale": "weight"}
EMBEDDINGS = ("cls_token", "pos_embed", "reg_token", "mask_token")  # whose shapes differ
STATISTICS = {"mean": "running_mean", "var": "running_var"}


def _flatten(tree: dict, path: tuple[str, ...] = ()):
    """Yields (torch name, array): layer2_0/downsample_1/scale -> layer2.0.downsample.1.weight."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, (*path, key))
        else:
            yield ".".join([*map(_module, path), (LEAVES | STATISTICS).get(key, key)]), value


def _module(name: str) -> str:
    if name.startswith("upconv"):
        return name.replace("upconv_", "upconv.") + ".conv"
    if name.startswith("dispconv"):
        return name.replace("_", ".") + ".conv"
    if name == "patch_embed":
        return f"{name}.proj"
    return re.sub(r"_(?=\d|pool$)", ".", name)


def _to_torch(name: str, value) -> torch.Tensor:
    tensor = torch.tensor(value.__array__())
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.T.contiguous() if tensor.ndim == 2 and name.endswith("weight") else tensor
