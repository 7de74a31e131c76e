"""Command line of the package; see its docstring. Exit code 1 with one line where it can't be."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from geoseg_jax import ancestors, checkpoints, interop
from geoseg_jax.interop import Weights, WeightsError, read_weights, write_torchvision, write_weights
from geoseg_jax.models import ENCODERS


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        "python -m geoseg_jax.interop",
        description=interop.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        help="weights file or folder to convert; with --to=torchvision also a run's workdir (its "
        "latest checkpoint) or WORKDIR/checkpoints/STEP",
    )
    parser.add_argument("--out", required=True, help="folder to write; with --to a .safetensors")
    parser.add_argument("--encoder", choices=tuple(ENCODERS), help="what it must turn out to be")
    parser.add_argument("--to", choices=("geoseg_jax", "torchvision"), default="geoseg_jax")
    parser.add_argument(
        "--classes",
        type=int,
        default=0,
        help="with --to=torchvision: add a classifier of zeros with so many outputs (1000 for an "
        "unchanged torchvision model); default none",
    )
    return parser.parse_args(argv)


def read(source: str) -> Weights:
    """Weights of a file, a folder of weights, or a run's checkpoint."""
    found = ancestors.read_run(source, "latest", "SOURCE")
    if found is None:
        return read_weights(pathlib.Path(source).expanduser())
    step = str(found.record["step"])
    path = pathlib.Path(source).expanduser().resolve()
    path = path if path.name == step else path / "checkpoints" / step
    origin = {
        "name": "/".join(path.parts[-3:]),
        "sha256": found.record["parameters_sha256"],
        "task": found.record["task"],
    }
    normalisation = found.habits["normalisation"]
    return Weights(found.variables, "geoseg_jax", found.encoder, "", normalisation, source=origin)


def run(flags: argparse.Namespace) -> str:
    """Converts, and returns a line about what was done."""
    weights, name = read(flags.source), pathlib.Path(flags.source).name
    if flags.encoder and weights.encoder != flags.encoder:
        found = f"a {weights.encoder}" if weights.encoder else "without an encoder"
        raise WeightsError(f"{flags.source} is {found}, not a {flags.encoder} as --encoder says")
    if flags.to == "torchvision":
        if not flags.out.endswith(".safetensors"):
            raise WeightsError(f"--out={flags.out}: name a file that ends in .safetensors")
        encoder = write_torchvision(
            weights.variables,
            flags.out,
            normalisation=weights.normalisation,
            classes=flags.classes,
            source=weights.source or {"name": name, "sha256": weights.sha256},
        )
        fc = f"fc of {flags.classes} zeros" if flags.classes else "no fc"
        return f"{flags.out}: {encoder}, input normalisation {weights.normalisation}, {fc}"
    if not weights.sha256:
        raise WeightsError(f"{flags.source} is a run: init_from takes it as it is; or add --to")
    done = write_weights(weights, flags.out, name)
    parts = ", ".join(f"{part} {count:,}" for part, count in done["parameters"].items())
    left = f"; left out: {_some(weights.dropped)}" if weights.dropped else ""
    return (
        f"{flags.out}: {weights.encoder or 'no encoder'} from {weights.kind}, parameters: {parts}; "
        f"input normalisation {weights.normalisation}; source sha256 {done['source_sha256']}{left}"
    )


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused."""
    try:
        print(run(parse(argv)))
    except (WeightsError, checkpoints.CheckpointError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
