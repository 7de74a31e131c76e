"""The networks and losses of whole tasks in PyTorch, as one would write them there.

Each has `predict`, which autocast may run in bfloat16, and `loss`, which is float32. `config` are
the settings of the run that they are twins of; a batch holds its fields as tensors, pictures
uint8 [..., 3, H, W].
"""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import torch_deeplab, torch_flow, torch_losses, torch_twin, torch_vit


def unit(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float() / 255


class Depth(torch_twin.DepthNet):
    """From the frame before and the frame after."""

    def __init__(self, config, height: int, width: int):
        model, self.task = config["model"], config["task"]
        super().__init__(model["encoder"], model["pose_encoder"], model["decoder_padding"])
        # The pose network's metres follow the depth that training starts at: 0.2 by itself.
        metres = self.task["initial_depth"] / 0.2
        self.register_buffer("units", torch.tensor([metres] * 3 + [1.0] * 3), persistent=False)

    def predict(self, batch, layout):
        target, (before, after) = unit(batch["image"]), unit(batch["sources"]).unbind(1)
        pairs = torch.stack([torch.cat([before, target], 1), torch.cat([target, after], 1)], 1)
        disparities, twists = self(
            target.contiguous(memory_format=layout),
            pairs.flatten(0, 1).contiguous(memory_format=layout),
        )
        return disparities, twists

    def loss(self, outputs, batch):
        disparities, twists = outputs
        moved = torch_losses.poses_from_twists(twists * self.units).unflatten(0, (-1, 2))
        poses = torch.stack([torch.linalg.inv(moved[:, 0]), moved[:, 1]], 1)
        pictures = unit(batch["image"]), unit(batch["sources"])
        options = {k: self.task[k] for k in ("min_depth", "max_depth", "ssim_weight")}
        return torch_losses.reprojection_loss(
            disparities,
            poses,
            *pictures,
            batch["intrinsics"],
            smoothness_weight=self.task["smoothness"],
            **options,
        )


class Segmentation(nn.Module):
    """A U-Net; pictures are padded to multiples of 32, as its stages halve."""

    def __init__(self, config, height: int, width: int):
        super().__init__()
        model, classes = config["model"], config["classes"]
        self.encoder = torch_twin.ResNet(model["encoder"])
        self.decoder = torch_twin.Decoder(
            self.encoder.channels, model["decoder_channels"], model["decoder_padding"]
        )
        self.head = torch_twin.Conv3x3(
            model["decoder_channels"][0], classes, model["decoder_padding"]
        )

    def predict(self, batch, layout):
        images = unit(batch["image"]).contiguous(memory_format=layout)
        height, width = images.shape[2:]
        images = F.pad(images, (0, -width % 32, 0, -height % 32), mode="replicate")
        return self.head(self.decoder(self.encoder(images))[0])[:, :, :height, :width]

    def loss(self, logits, batch):
        return F.cross_entropy(logits.float(), batch["label"], ignore_index=255)


class DeepLab(torch_deeplab.DeepLab):
    def __init__(self, config, height: int, width: int):
        model = config["model"]
        super().__init__(model["encoder"], config["classes"], model["output_stride"])

    def predict(self, batch, layout):
        return self(unit(batch["image"]).contiguous(memory_format=layout))

    def loss(self, logits, batch):
        label = batch["label"]
        logits = F.interpolate(
            logits.float(), label.shape[1:], mode="bilinear", align_corners=False
        )
        return F.cross_entropy(logits, label, ignore_index=255)


class Classification(nn.Module):
    """A ViT, the mean of its patches, one matrix."""

    def __init__(self, config, height: int, width: int):
        super().__init__()
        features, depth, heads = torch_vit.KINDS[config["model"]["encoder"]]
        self.smoothing = config["task"]["label_smoothing"]
        self.encoder = torch_vit.ViT(features, depth, heads, place_cls=0)
        self.head = nn.ModuleDict({"dense": nn.Linear(features, config["classes"])})

    def predict(self, batch, layout):
        images = unit(batch["image"]).contiguous(memory_format=layout)
        return self.encoder.tokens(images)[:, 1:].float().mean(1)

    def loss(self, pooled, batch):
        logits = self.head["dense"](pooled)
        return F.cross_entropy(logits, batch["category"], label_smoothing=self.smoothing)


class Mae(nn.Module):
    """The batch has `keep`, which patches are seen."""

    def __init__(self, config, height: int, width: int):
        super().__init__()
        model, rows, columns = config["model"], height // 16, width // 16
        features, depth, heads = torch_vit.KINDS[model["encoder"]]
        self.encoder = torch_vit.ViT(features, depth, heads, place_cls=0)
        self.encoder.pos_embed.requires_grad_(False)  # sines and cosines
        own = (model["mae_width"], model["mae_depth"], model["mae_heads"])
        self.decoder = torch_vit.MaeDecoder(features, *own, rows, columns)
        self.head = nn.ModuleDict({"pixels": nn.Linear(model["mae_width"], 3 * 16**2)})

    def predict(self, batch, layout):
        images = unit(batch["image"]).contiguous(memory_format=layout)
        return self.decoder(self.encoder.tokens(images, batch["keep"]), batch["keep"])

    def loss(self, decoded, batch):
        answer = self.head["pixels"](decoded.float())
        images = (unit(batch["image"]) - self.encoder.mean) / self.encoder.std
        target = torch_vit.patchify(images)
        variance, mean = torch.var_mean(target, -1, keepdim=True)
        error = (answer - (target - mean) * torch.rsqrt(variance + 1e-6)).square().mean(-1)
        hidden = torch.ones_like(error).scatter(1, batch["keep"], 0.0)
        return (error * hidden).sum() / hidden.sum()


class Flow(nn.Module):
    """UFlow from pictures, both directions, occlusion judged, before self-distillation."""

    def __init__(self, config, height: int, width: int):
        super().__init__()
        model, self.task = config["model"], config["task"]
        self.encoder = torch_twin.ResNet(model["encoder"])
        names = ("width", "radius", "layers", "context_layers")
        self.flow = torch_flow.Pyramid(
            self.encoder.channels[1:], *(model[f"flow_{name}"] for name in names)
        )

    def frames(self, batch):
        """Returns the first frames, then the second: [2 N, 3, H, W] in [0, 1]."""
        return unit(torch.cat([batch["image"], batch["sources"][:, 0]]))

    def predict(self, batch, layout):
        frames = self.frames(batch).contiguous(memory_format=layout)
        there = self.flow.reassemble(self.encoder(frames)[1:])
        back = {s: x.roll(len(x) // 2, 0) for s, x in there.items()}
        return self.flow(there, back)

    def loss(self, flow, batch):
        weights = self.task["smoothness"], self.task["edge_constant"]
        return torch_flow.photometric_loss(flow, self.frames(batch), *weights)


TASKS = {
    "depth": Depth,
    "segmentation": Segmentation,
    "deeplab": DeepLab,
    "vit": Classification,
    "mae": Mae,
    "flow": Flow,
}
