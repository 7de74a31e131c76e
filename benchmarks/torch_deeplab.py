"""DeepLabV3 in PyTorch as torchvision has it, on the twin's ResNets; needs PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import torch_twin


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int = 1, dilation: int = 1):
        super().__init__()
        edge = dilation * (size // 2)
        self.conv = nn.Conv2d(inputs, outputs, size, 1, edge, dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Decoder(nn.Module):
    def __init__(self, inputs: int, rates, features: int = 256):
        super().__init__()
        branches = {"0": Block(inputs, features)}
        branches |= {str(i): Block(inputs, features, 3, r) for i, r in enumerate(rates, 1)}
        self.aspp = nn.ModuleDict(branches | {"pool": Block(inputs, features)})
        self.project = Block(5 * features, features)
        self.out = Block(features, features, 3)

    def forward(self, x):
        found = [self.aspp[str(i)](x) for i in range(4)]
        pooled = self.aspp["pool"](F.adaptive_avg_pool2d(x, 1))
        found.append(F.interpolate(pooled, x.shape[-2:], mode="bilinear", align_corners=False))
        return self.out(self.project(torch.cat(found, 1)))


class Head(nn.Module):
    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1)

    def forward(self, x):
        return self.conv(x)


class DeepLab(nn.Module):
    def __init__(self, kind: str, classes: int, output_stride: int):
        super().__init__()
        self.encoder = torch_twin.ResNet(kind)
        dilate(self.encoder, output_stride)
        rates = {16: (6, 12, 18), 8: (12, 24, 36)}[output_stride]
        self.decoder = Decoder(self.encoder.channels[-1], rates)
        self.head = Head(256, classes)

    def forward(self, images):
        return self.head(self.decoder(self.encoder(images)[-1]))


def dilate(encoder: nn.Module, output_stride: int) -> None:
    """torchvision's replace_stride_with_dilation: a stage's first block has the old dilation.

    torchvision refuses it for basic blocks; here the second of their 3x3 has the new one.
    """
    dilation = 1
    for stride, stage in ((16, encoder.layer3), (32, encoder.layer4)):
        before = dilation
        if stride > output_stride:
            dilation *= 2
        for number, block in enumerate(stage):
            basic = isinstance(block, torch_twin.BasicBlock)
            strided = block.conv1 if basic else block.conv2
            if stride > output_stride:
                strided.stride = (1, 1)
                if number == 0:
                    block.downsample[0].stride = (1, 1)
            taps = before if number == 0 else dilation
            strided.dilation = strided.padding = (taps, taps)
            if basic:
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)
