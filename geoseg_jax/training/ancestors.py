"""A run as the origin of another's weights: read whole, with its record for the lineage."""

import pathlib
from typing import Any, NamedTuple

from geoseg_jax import interop
from geoseg_jax.core import places
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import sha256_of


class Ancestor(NamedTuple):
    """The origin of weights: a run or a file, read whole."""

    variables: dict[str, Any]  # {'params': {part: ...}, 'batch_stats': {part: ...}}, numpy
    encoder: str  # its name
    # What the weights were trained with and no shape tells, by the key of config.model.
    conventions: dict[str, str]
    record: dict[str, Any]  # for the lineage


def read_run(source: str | pathlib.Path, which: str, what: str) -> Ancestor | None:
    """Reads a run's checkpoint.

    Args:
      source: a workdir, or a checkpoint (WORKDIR/checkpoints/STEP).
      which: of a workdir's checkpoints, see checkpoints.choose.
      what: the setting that `which` comes from, for an error.

    Returns:
      None where the source is neither; it may be a file of weights.

    Raises:
      CheckpointError: where there is no such checkpoint, or it can't be read.
    """
    folder = pathlib.Path(source).expanduser()
    if (folder / "checkpoints").is_dir():
        folder = checkpoints.choose(folder, which, what)
    elif not (folder / "state").is_dir():
        return None
    if not folder.name.isdecimal():
        raise checkpoints.CheckpointError(
            f"{source} is a checkpoint under another name; its folder must be called by its step"
        )
    variables, meta = checkpoints.read_variables(folder), checkpoints.read_meta(folder)
    config = meta["config"]
    model = config.get("model", {})
    conventions = {"normalisation": model.get("normalisation", "imagenet")}
    # A DPT pads with zeros whatever the key says, which is then of the heads alone.
    if "decoder_padding" in model and model.get("decoder", "unet") == "unet":
        conventions["decoder_padding"] = model["decoder_padding"]
    record = {
        "source": str(source),
        "kind": "run",
        "task": config.get("task", {}).get("name", ""),
        "encoder": model.get("encoder", ""),
        "step": int(folder.name),
        "parameters_sha256": sha256_of(variables["params"]),
        "data_sha256": meta.get("data", ""),
        "parents": meta.get("parents", []),
    }
    return Ancestor(variables, record["encoder"], conventions, record)


def read_weights_of(source: str, normalisation: str = "", prefix: str = "") -> interop.Weights:
    """Reads weights of a file, a folder, a name, or a run's (latest) checkpoint.

    normalisation, prefix: of a file, see interop.read_weights.

    Raises:
      WeightsError, CheckpointError: it can't be read; of a run, for a prefix, and for another
        normalisation than its own.
    """
    places.check_local(source, "SOURCE")
    run = read_run(source, "latest", "SOURCE")
    if run is None:
        return interop.read_weights(source, normalisation, prefix)
    if prefix:
        raise interop.WeightsError(
            f"{source} is a run, where prefix={prefix!r} has no effect; drop it"
        )
    own = run.conventions["normalisation"]
    if normalisation not in ("", own):
        raise interop.WeightsError(
            f"{source} is a run, whose encoder expects {own!r}: normalisation={normalisation!r} "
            "has no effect; drop it"
        )
    step = str(run.record["step"])
    path = pathlib.Path(source).expanduser().resolve()
    path = path if path.name == step else path / "checkpoints" / step
    origin = {
        "name": "/".join(path.parts[-3:]),
        "sha256": run.record["parameters_sha256"],
        "task": run.record["task"],
    }
    return interop.Weights(run.variables, "geoseg_jax", run.encoder, "", own, source=origin)
