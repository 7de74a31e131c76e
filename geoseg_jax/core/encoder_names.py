"""Names of the encoders: models/encoders.py makes them, settings and configs choose among them."""

RESNETS = ("resnet18", "resnet18_half", "resnet34", "resnet50", "resnet101", "tiny")
VITS = ("vit_s16", "vit_b16", "vit_l16", "vit_tiny")
# Those that torchvision or timm has too; under their names the others can be written as well.
IN_PYTORCH = ("resnet18", "resnet34", "resnet50", "resnet101", "vit_s16", "vit_b16", "vit_l16")
# Of all ViTs but the tiny one there are variants: with registers, of DINOv2, and of both.
VARIANTS = ("_reg4", "_dinov2", "_dinov2_reg4")
ENCODERS = (*RESNETS, *VITS, *(f"{vit}{variant}" for variant in VARIANTS for vit in VITS[:3]))
