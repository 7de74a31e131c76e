"""The encoders that a config's option names, the usual one first."""

ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101", "tiny")
