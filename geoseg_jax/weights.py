"""Converts weights, and writes networks for other runtimes, on the command line.

See geoseg_jax.interop and docs/export.md. Exit code 1 after an error.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from absl import logging

from geoseg_jax import interop
from geoseg_jax.core import encoder_names, places
from geoseg_jax.data.source import DataError
from geoseg_jax.interop import (
    Weights,
    WeightsError,
    write_timm,
    write_torchvision,
    write_weights,
)
from geoseg_jax.models import ENCODERS, is_vit, resnet
from geoseg_jax.prediction import export, torch_export
from geoseg_jax.training import checkpoints
from geoseg_jax.training.ancestors import read_weights_of


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the flags."""
    parser = argparse.ArgumentParser(
        "python -m geoseg_jax.weights",
        description=interop.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        help="weights file, folder or name (hf:OWNER/NAME) to convert; with --to also a run's "
        "workdir, or for its encoder WORKDIR/checkpoints/STEP",
    )
    parser.add_argument(
        "--out",
        required=True,
        help="folder to write; with --to the file: .safetensors, .onnx or .stablehlo",
    )
    parser.add_argument("--encoder", choices=tuple(ENCODERS), help="refuse any other encoder")
    parser.add_argument(
        "--to",
        choices=("geoseg_jax", "onnx", "stablehlo", "torch", "torchvision", "timm"),
        default="geoseg_jax",
        help="onnx, stablehlo: a program that takes pictures; torch: tensors under PyTorch's names "
        "(an encoder's those of torchvision or timm); default: an encoder to start runs from",
    )
    parser.add_argument(
        "--part",
        choices=("network", "encoder"),
        default="",
        help="with --to=onnx, stablehlo or torch: the whole network (default for a run of "
        "segmentation or depth) or its encoder (default for others)",
    )
    parser.add_argument("--height", type=int, default=0, help="of an exported program's pictures")
    parser.add_argument("--width", type=int, default=0, help="default of both: the run's")
    parser.add_argument(
        "--step", default="latest", help="of a run's checkpoints: latest, best or a number"
    )
    parser.add_argument("--root", help="in place of the run's config.data.root")
    parser.add_argument(
        "--normalisation",
        choices=tuple(resnet.NORMALISATIONS),
        default="",
        help="what the encoder expects of its input, where the file does not tell",
    )
    parser.add_argument(
        "--prefix",
        default="",
        help="prefix of the encoder's names in a file with several encoders, such as "
        "state_dict.encoder; '.' for none; default: the one that fits",
    )
    parser.add_argument(
        "--classes",
        type=int,
        default=0,
        help="with --to=torchvision or timm: add a classifier of zeros with so many outputs (1000 "
        "for an unchanged model); default none",
    )
    return parser.parse_args(argv)


def convert(flags: argparse.Namespace) -> str:
    """Converts, and returns a line about what was done."""
    _check(flags)
    if flags.to in export.FORMATS:
        return _program(flags)
    if flags.to == "torch" and export.part_of(flags.source, flags.part) == "network":
        return torch_export.write_torch(flags.source, flags.out, step=flags.step, root=flags.root)
    source = flags.source
    if flags.step != "latest":
        source = str(checkpoints.choose(source, flags.step, f"--step={flags.step}"))
    weights = read_weights_of(source, flags.normalisation, flags.prefix)
    name = pathlib.Path(flags.source).name
    if flags.encoder and weights.encoder != flags.encoder:
        kind = f"a {weights.encoder}" if weights.encoder else "without an encoder"
        raise WeightsError(f"{flags.source} is {kind}, not a {flags.encoder} as --encoder says")
    if flags.to != "geoseg_jax":
        return _export(weights, flags)
    if not weights.sha256:
        raise WeightsError(f"{flags.source} is a run: init_from takes it as it is; --to exports it")
    done = write_weights(weights, flags.out, name)
    parts = ", ".join(f"{part} {count:,}" for part, count in done["parameters"].items())
    left = f"; prefix {weights.prefix}" if weights.prefix else ""
    left += f"; left out: {_some(weights.dropped)}" if weights.dropped else ""
    left += f"; changed: {', '.join(weights.changed)}" if weights.changed else ""
    left += f"; WARNING: {weights.untrained}" if weights.untrained else ""
    return (
        f"{flags.out}: {weights.encoder or 'no encoder'} from {weights.kind}, parameters: {parts}; "
        f"input normalisation {weights.normalisation}; source sha256 {done['source_sha256']}{left}"
    )


def _check(flags: argparse.Namespace) -> None:
    """Refuses what would have no effect, and addresses."""
    places.check_local(flags.source, "SOURCE")
    places.check_local(flags.out, "--out")
    programs = tuple(export.FORMATS)
    allowed = {
        "part": (*programs, "torch"),
        "root": (*programs, "torch"),
        "height": programs,
        "width": programs,
        "classes": ("torch", "torchvision", "timm"),
        "encoder": ("geoseg_jax", "torch", "torchvision", "timm"),
    }
    for name, formats in allowed.items():
        if getattr(flags, name) and flags.to not in formats:
            known = ", ".join(f"--to={known}" for known in formats)
            raise WeightsError(f"--{name} has no effect with --to={flags.to}, only with {known}")
    if flags.to in allowed["part"] and export.part_of(flags.source, flags.part) == "network":
        for name in ("encoder", "normalisation", "prefix", "classes"):
            if getattr(flags, name):
                raise WeightsError(
                    f"--{name} is about an encoder, and of {flags.source} the whole network is "
                    "written; drop it, or take the encoder alone by --part=encoder"
                )


def _program(flags: argparse.Namespace) -> str:
    """Writes a network as a program."""
    program = export.export(
        flags.source,
        flags.to,
        flags.out,
        part=flags.part,
        size=(flags.height, flags.width),
        step=flags.step,
        root=flags.root,
        normalisation=flags.normalisation,
        prefix=flags.prefix,
    )
    told = program.metadata
    outputs = ", ".join(f"{n} {o['type']}{o['shape'][1:]}" for n, o in told["outputs"].items())
    height, width = program.size
    return (
        f"{flags.out}: {told['network']} network, {told['encoder']}, of {height}x{width} pictures "
        f"(height x width), uint8 RGB [N, {height}, {width}, 3]; gives {outputs}"
    )


def _export(weights: Weights, flags: argparse.Namespace) -> str:
    if not flags.out.endswith(".safetensors"):
        raise WeightsError(f"--out={flags.out}: name a file that ends in .safetensors")
    fitting = "timm" if is_vit(weights.encoder) else "torchvision"
    if flags.to not in (fitting, "torch"):
        raise WeightsError(f"--to={flags.to}: a {weights.encoder} goes with --to={fitting}")
    settings = {
        "normalisation": weights.normalisation,
        "classes": flags.classes,
        "source": weights.source
        or {"name": pathlib.Path(flags.source).name, "sha256": weights.sha256},
    }
    if fitting == "timm":
        write_timm(weights.variables, flags.out, weights.encoder, **settings)
    else:
        write_torchvision(weights.variables, flags.out, **settings)
    layer = "head" if fitting == "timm" else "fc"
    last = f"{layer} of {flags.classes} zeros" if flags.classes else f"no {layer}"
    done = f"{flags.out}: {weights.encoder}, input normalisation {weights.normalisation}, {last}"
    if weights.encoder in encoder_names.IN_PYTORCH:
        return done
    return f"{done}; the names alone are {fitting}'s, which has no such network: build it yourself"


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, or 1 where it is refused."""
    flags = parse(argv)
    logging.set_verbosity(logging.ERROR)  # orbax misses a file that plain checkpoints don't have
    try:
        print(convert(flags))
    except (DataError, ValueError, OSError) as error:  # all others of ours are ValueErrors
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
