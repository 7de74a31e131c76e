"""Compares what the arms' encoders make of the same pictures, before any label was seen."""

import functools
import io
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from geoseg_jax import interop
from geoseg_jax.data.factory import make_data
from geoseg_jax.models import encoders
from geoseg_jax.report import features
from geoseg_jax.study import panels, records
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.training import transfer
from geoseg_jax.training.checkpoints import steps_in

PICTURES = 32  # at most; from all over the evaluation split
PIXELS = 2_500_000  # of all pictures at most, whose maps take half a GB with a ResNet-50
PLACES = 2_000  # at most, of all pictures' places at a stage
SHOWN = 2  # pictures whose features are shown
_SHOWN_STAGE = 8


def look(study: Mapping[str, Any], made: Plan) -> dict[str, Any]:
    """Compares the arms' encoders by stage, and draws their features.

    Of the study's first encoder and resolution. An arm without a checkpoint is left out.

    Returns:
      'cka' and 'pca' as geoseg_jax.report shows them; {} with fewer than two encoders.
    """
    starts = _starts(study, made)
    if len(starts) < 2:
        return {}
    cell = next(iter(starts.values()))
    images = _images(cell)
    pictures = jnp.asarray(images, jnp.float32) / 255
    places: dict[int, dict[str, np.ndarray]] = {}
    shown = {}
    for name, start in starts.items():
        model = start.config.model
        encoder = encoders.make_encoder(model.encoder, normalisation=model.normalisation)
        maps = _maps(encoder, _variables(encoder, start, pictures), pictures)
        for stride, stage in maps.items():
            places.setdefault(stride, {})[name] = _places(np.asarray(stage))
        shown[name] = features.pca_pictures(np.asarray(maps[_SHOWN_STAGE][:SHOWN]))
    cka = [
        {
            "stage": f"stride {stride}",
            "arms": list(rows),
            "matrix": features.cka_matrix(rows),
        }
        for stride, rows in places.items()
    ]
    labels = {arm["name"]: arm.get("label", arm["name"]) for arm in study["arms"]}
    return {"cka": cka, "pca": _pictures(images, shown, labels)}


@functools.partial(jax.jit, static_argnums=0)
def _maps(encoder: Any, variables: Any, pictures: jax.Array) -> dict[int, jax.Array]:
    """Applies with the batch's statistics: those of an untrained encoder are of no data at all."""
    return encoder.apply(variables, pictures, True, mutable=["batch_stats"])[0]


def _starts(study: Mapping[str, Any], made: Plan) -> dict[str, Cell]:
    """Finds for each arm a cell that starts from its encoder, if that is there."""
    first = {name: study["factors"][name][0] for name in ("encoder", "resolution")}
    starts: dict[str, Cell] = {}
    for cell in made.cells:
        start = cell.recipe.get("init_from") or ""
        record = records.read(pathlib.Path(start)) if cell.pretraining else None
        there = record is not None and record.state == records.DONE
        there = there and bool(steps_in(pathlib.Path(start) / "checkpoints"))
        elsewhere = not start or interop.is_name(start) or pathlib.Path(start).exists()
        there |= not cell.pretraining and elsewhere
        if there and first.items() <= cell.factors.items():
            starts.setdefault(cell.factors["arm"], cell)
    return starts


def _images(cell: Cell) -> np.ndarray:
    """Reads uint8 [N, H, W, 3] of the evaluation split at the cell's size."""
    source = make_data(cell.config).eval
    size = cell.config.data.height * cell.config.data.width
    count = min(PICTURES, len(source), max(SHOWN, PIXELS // size))
    return np.stack([source[i * len(source) // count]["image"] for i in range(count)])


def _variables(encoder: Any, cell: Cell, pictures: jax.Array) -> dict[str, Any]:
    """Reads those of the encoder that a cell starts from; draws random weights like a cell's."""
    if not cell.config.get("init_from"):
        key = jax.random.key(cell.config.seed)
        return jax.jit(lambda key: encoder.init(key, pictures[:1], False))(key)
    ancestor = transfer.read(cell.config.init_from, cell.config)
    parts = {name: tree.get("encoder", {}) for name, tree in ancestor.variables.items()}
    return {name: tree for name, tree in parts.items() if tree}


def _places(maps: np.ndarray) -> np.ndarray:
    """Draws [n, C] places, the same for all arms; every n-th would be columns."""
    rows = maps.reshape(-1, maps.shape[-1])
    count = min(PLACES, len(rows))
    return rows[np.random.default_rng(0).choice(len(rows), count, replace=False)]


def _pictures(images, shown, labels) -> list[dict[str, Any]]:
    height, width = images.shape[1:3]
    return [
        {
            "title": f"Features at stride {_SHOWN_STAGE}, picture {number + 1}",
            "pictures": [
                {"caption": "input", "src": _uri(images[number], width, height)},
                *(
                    {"caption": labels[name], "src": _uri(pictures[number], width, height)}
                    for name, pictures in shown.items()
                ),
            ],
        }
        for number in range(min(SHOWN, len(images)))
    ]


def _uri(picture: np.ndarray, width: int, height: int) -> str:
    """Embeds a picture, enlarged without smoothing: a place is a square."""
    file = io.BytesIO()
    Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST).save(file, "PNG")
    return panels.uri(file.getvalue())
