"""Chooses what goes with each encoder: decoder and optimiser."""

from collections.abc import Mapping
from typing import Any

from geoseg_jax.presets.argument import Option

# Decoders of dense predictions; auto: unet, or dpt on a ViT.
DECODERS = ("auto", "unet", "dpt")
DECODER = Option(DECODERS, "auto: unet, or dpt on a ViT")
# Channels of a DPT's fusion by the size of the ViT, as in Depth Anything (arXiv:2401.10891); DPT
# itself has 256 on all.
DPT_FEATURES = {"vit_tiny": 16, "vit_s16": 64, "vit_b16": 128, "vit_l16": 256}


def is_vit(encoder: str) -> bool:
    """Tells whether that encoder is a ViT."""
    return encoder.startswith("vit")


def decoder_of(encoder: str, decoder: str = "auto") -> dict[str, Any]:
    """Returns config.model's decoder and dpt_features for that encoder.

    Args:
      encoder: one of core.encoder_names.ENCODERS.
      decoder: its name; 'auto' is the U-Net, or DPT on a ViT, whose stages don't halve.
    """
    if decoder == "auto":
        decoder = "dpt" if is_vit(encoder) else "unet"
    size = "_".join(encoder.split("_")[:2])  # without reg4 and dinov2
    return {"decoder": decoder, "dpt_features": DPT_FEATURES.get(size, 256)}


def suit_vit(config: Any) -> None:
    """Gives a ViT what it needs of an optimiser chosen for ResNets; changes the config in place.

    AdamW at 1e-4 with weight decay 0.05, a warm-up and a cosine are what BEiT and MAE fine-tune by
    for dense predictions; the warm-up comes with `warm_up`, when the length is known. A layer's
    rate is 0.75 of the next one's where the encoder comes from elsewhere, see layer_decay.py. On a
    frozen encoder only convolutions learn, as on a ResNet.
    """
    if not _suits(config):
        return
    config.optimizer.update({"name": "adamw", "learning_rate": 1e-4, "weight_decay": 0.05})
    config.optimizer.update({"schedule": "cosine", "clip_norm": 1.0})
    config.optimizer.layer_decay = 0.75 if config.init_from else 1.0


def warm_up(config: Any, options: Mapping[str, Any]) -> None:
    """Sets the warm-up of what suit_vit changed, a twentieth of the training, in place.

    For a preset's `finish`: config files set the length. A file that asks for a longer warm-up has
    it, and preset=paper_code has none.
    """
    if _suits(config) and options.get("preset") != "paper_code":
        twentieth = config.train.steps // 20
        config.optimizer.warmup_steps = max(config.optimizer.warmup_steps, twentieth)


def _suits(config: Any) -> bool:
    """Tells whether it is a ViT that learns."""
    return is_vit(config.model.encoder) and "encoder" not in config.transfer.frozen
