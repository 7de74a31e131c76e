"""Keeps the same few predictions of every arm, and collects them for the report."""

import base64
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from PIL import Image

from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.report import naming
from geoseg_jax.study.plan import Cell, Plan, first_replicate
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints, sharding
from geoseg_jax.training.programs import Programs, key_of

FOLDER = "panels"
# How segmentation calls its pictures; the first two are the same for all arms.
INPUT, TRUTH, PREDICTION, LEGEND = "input", "label", "prediction", "legend"


def keep(cell: Cell, count: int, programs: Programs | None = None) -> None:
    """Writes WORKDIR/panels/NUMBER-NAME.png: `count` evaluation examples as the task shows them.

    The examples are spread over the split, and so the same for all cells that are judged on it.
    programs: see loop.run.
    """
    data = make_data(cell.config)
    count = min(count, len(data.eval))
    chosen = [i * len(data.eval) // count for i in range(count)]
    batch = next(iter(pipeline.eval_batches(Subset(data.eval, chosen), batch_size=count)))
    folder = checkpoints.choose(cell.workdir, "latest", "panels")
    variables = checkpoints.read_variables(folder)
    task = make_task(cell.config, data)
    mesh = sharding.make_mesh(jax.devices()[:1])
    key = key_of(cell.config, task, sharding.global_shapes(batch, sharding.split(mesh)), mesh)
    draw = (programs or Programs()).once(key, "panels", lambda: jax.jit(task.visualise))
    shown = draw(variables, batch)
    (cell.workdir / FOLDER).mkdir(exist_ok=True)
    for name, pictures in shown.items():
        for number, picture in enumerate(np.asarray(pictures)[:count]):
            Image.fromarray(picture).save(path(cell.workdir, number, name))


def collect(study: Mapping[str, Any], made: Plan) -> list[dict[str, Any]]:
    """Collects the pictures of all arms at each condition, of the first replicate.

    What the colours stand for comes first, marked as a legend.
    """
    first = first_replicate(study)
    labels = {arm["name"]: arm.get("label", arm["name"]) for arm in study["arms"]}
    shown: dict[str, list[dict[str, str]]] = {}
    legend: list[dict[str, str]] = []
    for cell in made.cells:
        if not first.items() <= cell.factors.items():
            continue
        if not legend and path(cell.workdir, 0, LEGEND).exists():
            legend.append(_picture(LEGEND, path(cell.workdir, 0, LEGEND)))
        condition = naming.condition_name(study, naming.place_of(cell.factors))
        for number in range(study.get("panels", 0)):
            if not path(cell.workdir, number, PREDICTION).exists():
                continue
            title = ", ".join(filter(None, (condition, f"picture {number + 1}")))
            names = {PREDICTION: labels[cell.factors["arm"]]}
            if title not in shown:
                names = {INPUT: INPUT, TRUTH: TRUTH, **names}
            files = {caption: path(cell.workdir, number, name) for name, caption in names.items()}
            shown.setdefault(title, []).extend(
                _picture(caption, file) for caption, file in files.items() if file.exists()
            )
    first_of_all = [{"title": "Classes", "legend": True, "pictures": legend}] if legend else []
    return first_of_all + [{"title": title, "pictures": p} for title, p in shown.items()]


def _picture(caption: str, file: pathlib.Path) -> dict[str, str]:
    return {"caption": caption, "src": uri(file.read_bytes())}


def path(workdir: pathlib.Path, number: int, name: str) -> pathlib.Path:
    """Gives the file of a panel."""
    return workdir / FOLDER / f"{number}-{name.replace(' ', '_')}.png"


def uri(png: bytes) -> str:
    """Embeds a PNG file in an address, for a page that is one file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
