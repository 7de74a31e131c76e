"""Whole networks as programs for other runtimes: bytes of a picture in, named maps out.

What a network does to a picture beforehand (to [0, 1], normalisation) is within the program, and
all computing is float32. The metadata says the rest: size, colours, classes, palette, unit.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

import geoseg_jax
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.interop.onnx_files import INPUT, write_onnx
from geoseg_jax.interop.stablehlo_files import write_stablehlo
from geoseg_jax.models import is_vit, resnet
from geoseg_jax.ops.sampling import resize_bilinear
from geoseg_jax.prediction import networks, run
from geoseg_jax.tasks import task_named
from geoseg_jax.tasks.inference import class_scores
from geoseg_jax.training import ancestors, checkpoints

FORMATS = {"stablehlo": (".stablehlo", write_stablehlo), "onnx": (".onnx", write_onnx)}
# Height and width of pictures for an encoder that no run tells of.
_USUAL = (224, 224)
_MEANINGS = {
    "label": "place of the likeliest class in `classes`",
    "scores": "of each class, the larger the likelier",
    "inverse_depth": "1 / depth",
    "depth": "along the camera's axis, in `unit`",
}


class Program(NamedTuple):
    """A function of one picture, uint8 [*size, 3] RGB, to named maps; and what to know of it."""

    function: Callable[[jax.Array], dict[str, jax.Array]]
    size: tuple[int, int]
    metadata: dict[str, Any]


def export(
    source: str | pathlib.Path,
    to: str,
    out: str | pathlib.Path,
    *,
    part: str = "",
    size: tuple[int, int] = (0, 0),
    step: str = "latest",
    root: str | None = None,
    normalisation: str = "",
    prefix: str = "",
) -> Program:
    """Writes a network to a file.

    Args:
      source: a run's workdir; for an encoder also a checkpoint or a file of weights.
      to: a key of FORMATS.
      out: the file.
      part: 'network' or 'encoder'; '' for the network of a segmentation or depth run, else the
        encoder.
      size: height and width of pictures; 0 for those that the run predicts on.
      step, root: see networks.load_segmenter. normalisation, prefix: see networks.load_encoder.

    Raises:
      ConfigError, CheckpointError, WeightsError, DataError, ValueError: one line.
    """
    ending, write = FORMATS[to]
    if not str(out).endswith(ending):
        raise ConfigError(f"--out={out}: name a file that ends in {ending}")
    if part_of(source, part) == "network":
        program = network(source, step, root, size)
    else:
        place = checkpoints.choose(source, step, f"--step={step}") if step != "latest" else source
        encoder = networks.load_encoder(place, normalisation=normalisation, prefix=prefix)
        program = encoder_program(encoder, _size(size, _config_of(source)))
    height, width = program.size
    picture = jax.ShapeDtypeStruct((height, width, 3), jnp.uint8)
    shapes = jax.eval_shape(program.function, picture)
    vit = is_vit(program.metadata["encoder"])
    outputs = {
        name: {"type": str(s.dtype), "shape": ["N", *s.shape], "meaning": _meaning(name, vit)}
        for name, s in shapes.items()
    }
    program = program._replace(metadata=program.metadata | {"outputs": outputs})
    write(program.function, picture, out, program.metadata)
    return program


def network(
    source: str | pathlib.Path, step: str, root: str | None, size: tuple[int, int] = (0, 0)
) -> Program:
    """Makes the program of a segmentation or depth run's whole network; arguments as of export."""
    config = run.read_config(pathlib.Path(source), root)
    config.model.compute_dtype = "float32"
    folder = checkpoints.choose(source, step, f"--step={step}")
    variables = checkpoints.read_variables(folder)
    origin = ancestors.read_run(folder, "", "").record
    if task_named(config.task.name).predicts == "label":
        table = run.table_of(config)
        made = _segmentation(config, variables, table, _size(size, config))
    else:
        made = _depth(config, variables, _size(size, config))
    said = {
        "network": "segmentation" if "classes" in made.metadata else "depth",
        **_origin(origin),
        "decoder": config.model.get("decoder", "unet"),
        **_input(made.size, config.model.get("normalisation", "imagenet")),
        "resize": config.data.get("picture_resize", "area"),
    }
    return made._replace(metadata=said | made.metadata)


def encoder_program(encoder: networks.Encoder, size: tuple[int, int]) -> Program:
    """Makes the program of an encoder: features of each stage, `stride_2` to `stride_32`."""
    if is_vit(encoder.name) and (size[0] % 16 or size[1] % 16):
        raise ConfigError(
            f"a {encoder.name} sees whole patches: make height and width of "
            f"{size[0]}x{size[1]} multiples of 16"
        )

    def function(picture: jax.Array) -> dict[str, jax.Array]:
        features = encoder.apply(encoder.variables, _unit(picture)[None])
        return {f"stride_{stride}": maps[0] for stride, maps in features.items()}

    said = {"network": "encoder", "encoder": encoder.name, **_origin(encoder.origin)}
    return Program(function, size, said | _input(size, encoder.normalisation))


def _segmentation(
    config: ConfigDict, variables: Any, table: LabelTable | None, size: tuple[int, int]
) -> Program:
    if table is None:
        raise ConfigError("the run's data has no classes")
    task, evaluation = run.task_of(config, table), config.task.eval

    def function(picture: jax.Array) -> dict[str, jax.Array]:
        maps = class_scores(
            lambda images: task.network(variables, {"image": images}),
            picture[None],
            flip=evaluation.flip,
        )
        scores = resize_bilinear(maps, *picture.shape[:2])[0]
        return {"label": jnp.argmax(scores, axis=-1).astype(jnp.uint8), "scores": scores}

    said: dict[str, Any] = {
        "table": table.name,
        "classes": list(table.classes),
        "palette": [list(colour) for colour in table.palette],
        "file_ids": list(table.file_ids),
    }
    if evaluation.flip:
        said["flip"] = "scores are probabilities, averaged with those of the mirror image"
    if evaluation.window:
        said["window"] = "the run was evaluated by windows of this size that slide over a picture"
    return Program(function, size, said)


def _depth(config: ConfigDict, variables: Any, size: tuple[int, int]) -> Program:
    task, metric = run.task_of(config, None), run.is_metric(config)

    def function(picture: jax.Array) -> dict[str, jax.Array]:
        inverse = task.predict(variables, {"image": picture[None]})["inverse_depth"][0]
        return {"depth": 1 / jnp.maximum(inverse, 1e-6), "inverse_depth": inverse}

    unit = "metres" if metric else "metres, up to one common factor"
    return Program(function, size, {"unit": unit})


def _unit(picture: jax.Array) -> jax.Array:
    return picture.astype(jnp.float32) / 255


def _input(size: tuple[int, int], normalisation: str) -> dict[str, Any]:
    mean, deviation = resnet.NORMALISATIONS[normalisation]
    return {
        "input": {
            "name": INPUT,
            "type": "uint8",
            "shape": ["N", *size, 3],
            "axes": "picture, row, column, colour",
            "colours": "RGB",
        },
        "preprocessing": {
            "where": "within the program: feed bytes",
            "divide_by": 255,
            "normalisation": normalisation,
            "mean": list(mean),
            "std": list(deviation),
        },
    }


def _origin(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("source", "name", "task", "encoder", "step", "parameters_sha256", "sha256")
    said = {key: record[key] for key in kept if record.get(key)}
    if "source" in said:  # a checkpoint: its run, not where that lies on this machine
        said["source"] = "/".join(pathlib.Path(said["source"]).resolve().parts[-3:])
    return {"made_by": f"geoseg_jax {geoseg_jax.__version__}", **said}


def _meaning(name: str, vit: bool) -> str:
    stride = name.replace("_", " ")
    where = f"stride 16, for a decoder's {stride}" if vit else stride
    return _MEANINGS.get(name, f"features at {where}, row, column, channel")


def part_of(source: str | pathlib.Path, part: str = "") -> str:
    """Returns what is written: the part asked for; '' for the network where a run predicts by it.

    Raises:
      ConfigError: for the network of what has none.
    """
    config = _config_of(source)
    whole = config is not None and task_named(config.task.name).predicts in ("label", "depth")
    if part == "network" and not whole:
        what = "no run's workdir" if config is None else f"a run of {config.task.name}"
        raise ConfigError(
            f"{source} is {what}; whole networks are written of runs of segmentation and depth, "
            "encoders of any: --part=encoder"
        )
    return part or ("network" if whole else "encoder")


def _config_of(source: str | pathlib.Path) -> ConfigDict | None:
    """Returns a run's config; None for a source that is no workdir."""
    folder = pathlib.Path(source).expanduser()
    return run.read_config(folder) if (folder / "config.json").is_file() else None


def _size(size: tuple[int, int], config: ConfigDict | None) -> tuple[int, int]:
    usual = _USUAL
    if config is not None:  # the network may have seen windows of pictures
        window = config.task.get("eval", {}).get("window", ())
        usual = tuple(window) or (config.data.height, config.data.width)
    height, width = (given or default for given, default in zip(size, usual, strict=True))
    if min(height, width) < 1:
        raise ConfigError(
            f"--height={height}, --width={width}: pictures have pixels; give both > 0"
        )
    return height, width
