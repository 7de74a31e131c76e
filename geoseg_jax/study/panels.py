"""The same few pictures of every cell, kept beside it: what the arms' predictions look like."""

import base64
import pathlib

import jax
import numpy as np
from PIL import Image

from geoseg_jax.data import pipeline
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.study.plan import Cell
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints, sharding
from geoseg_jax.training.programs import Programs, key_of

FOLDER = "panels"


def keep(cell: Cell, count: int, programs: Programs | None = None) -> None:
    """Writes WORKDIR/panels/NUMBER-NAME.png: `count` evaluation examples as the task shows them.

    The examples are spread over the split, and so the same for all cells that are judged on it.
    programs: see train.run.
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


def path(workdir: pathlib.Path, number: int, name: str) -> pathlib.Path:
    """Where a panel lies."""
    return workdir / FOLDER / f"{number}-{name.replace(' ', '_')}.png"


def uri(png: bytes) -> str:
    """A PNG file as the address of a picture, for a page that is one file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
