"""The encoders that a config's option names, the usual one first."""

ENCODERS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "tiny"),
    *("vit_s16", "vit_b16", "vit_l16", "vit_tiny"),
    *("vit_s16_reg4", "vit_b16_reg4", "vit_l16_reg4"),
    *("vit_s16_dinov2", "vit_b16_dinov2", "vit_l16_dinov2"),
    *("vit_s16_dinov2_reg4", "vit_b16_dinov2_reg4", "vit_l16_dinov2_reg4"),
)
