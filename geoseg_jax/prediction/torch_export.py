"""Runs whose whole network PyTorch has too: written as tensors under its names."""

import json
import pathlib

from ml_collections import ConfigDict

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.encoder_names import IN_PYTORCH
from geoseg_jax.interop.torch_networks import write_deeplab, write_monodepth2
from geoseg_jax.models import ENCODERS, resnet
from geoseg_jax.prediction import export, run
from geoseg_jax.tasks import task_named
from geoseg_jax.training import checkpoints

DEEPLAB, MONODEPTH2 = "deeplabv3", "monodepth2"
# What has to be done to pictures before they are fed, where the programs do all by themselves.
_BEFORE = {
    DEEPLAB: "feed floats: divide by 255, subtract mean, divide by std",
    MONODEPTH2: "feed floats: divide by 255; ResnetEncoder does the rest",
}


def write_torch(
    source: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    step: str = "latest",
    root: str | None = None,
) -> str:
    """Writes a run's whole network as a .safetensors, where PyTorch has the same network.

    Args:
      source, step, root: as of export.export.
      out: the file; the metadata of a program stand in its head as JSON, under 'geoseg_jax'.

    Returns:
      A line on what was written.

    Raises:
      ConfigError: where PyTorch has none, and of what is no run.
    """
    if not str(out).endswith(".safetensors"):
        raise ConfigError(f"--out={out}: name a file that ends in .safetensors")
    config = run.read_config(pathlib.Path(source))
    which, model = torch_name(config), config.model
    variables = checkpoints.read_variables(checkpoints.choose(source, step, f"--step={step}"))
    told = export.network(source, step, root).metadata
    told["preprocessing"]["where"] = _BEFORE[which]
    head = {"normalisation": told["preprocessing"]["normalisation"], "encoder": model.encoder}
    if which == DEEPLAB:
        told["output_stride"] = model.output_stride
        write_deeplab(variables, out, {**head, "geoseg_jax": json.dumps(told)})
        return f"{out}: torchvision's deeplabv3_{model.encoder}, stride {model.output_stride}"
    told |= {key: config.task[key] for key in ("min_depth", "max_depth")}
    write_monodepth2(variables, out, {**head, "geoseg_jax": json.dumps(told)})
    return f"{out}: monodepth2's ResnetEncoder and DepthDecoder, {model.encoder}"


def torch_name(config: ConfigDict) -> str:
    """Names PyTorch's network that a run's is equal to. Raises ConfigError where there is none."""
    model, predicts = config.model, task_named(config.task.name).predicts
    decoder = model.get("decoder", "unet")
    normalisation = model.get("normalisation", "imagenet")
    if predicts == "label" and decoder == "deeplabv3":
        variant = model.get("deeplab", {})
        if ENCODERS[model.encoder].keywords.get("block") is not resnet.Bottleneck:
            why = f"torchvision's dilated networks have bottlenecks, and {model.encoder} has none"
        elif not variant.get("convolution", True) or variant.get("align_corners", False):
            why = "config.model.deeplab makes it another one than torchvision's"
        elif config.task.get("normalise_twice", False):
            why = "config.task.normalise_twice belongs to no network of torchvision"
        else:
            return DEEPLAB
    elif predicts == "depth" and decoder == "unet":
        if normalisation != "monodepth2":
            why = f"monodepth2 has a mean of its own, this run that of {normalisation!r}"
        elif model.encoder not in IN_PYTORCH:
            why = f"monodepth2's encoders are torchvision's ResNets, and {model.encoder} is none"
        elif model.decoder_padding != "reflect":
            why = f"monodepth2 pads by reflection, not {model.decoder_padding!r}"
        else:
            return MONODEPTH2
    else:
        why = f"no library of PyTorch has this {decoder} on a {model.encoder}"
    raise ConfigError(
        f"--to=torch: {why}; --to=onnx writes every network, and --part=encoder its encoder alone"
    )
