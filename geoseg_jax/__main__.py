"""One command for all: geoseg COMMAND ..., or python -m geoseg_jax COMMAND ...

`geoseg COMMAND --help` names a command's arguments; `geoseg configs` lists what can be trained, and
`geoseg train --config=FILE.py:help` the options of one.
"""

import ast
import pathlib
import runpy
import sys

from geoseg_jax.config.settings import config_files
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.tell import tell

# Name -> module with the command line, and what it does.
COMMANDS = {
    "train": ("geoseg_jax.main", "trains and evaluates one config"),
    "study": ("geoseg_jax.study", "compares pre-trainings: plans, trains, reports"),
    "probe": ("geoseg_jax.probe", "compares frozen encoders on labelled pictures, in minutes"),
    "predict": ("geoseg_jax.predict", "writes a run's predictions on pictures or video"),
    "score": ("geoseg_jax.score", "scores predicted label files"),
    "prepare": ("geoseg_jax.prepare", "packs a data set for fast training"),
    "labels": ("geoseg_jax.labels", "turns annotations of other tools into a folder to train on"),
    "interop": (
        "geoseg_jax.interop",
        "converts weights; writes networks as ONNX, StableHLO or for PyTorch",
    ),
}
_CONFIGS = ("configs", "lists the config files")


def main() -> None:
    """Runs the command that the first word names, as if its module had been started."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h"):
        tell(usage())
    elif name == "configs":
        tell(configs())
    elif name in COMMANDS:
        sys.argv = [f"geoseg {name}", *rest]
        runpy.run_module(COMMANDS[name][0], run_name="__main__", alter_sys=True)
    else:
        known = [*COMMANDS, "configs"]
        hint = did_you_mean(name, known)
        print(f"error: {name!r} is none of {', '.join(known)}{hint}", file=sys.stderr)
        sys.exit(1)


def usage() -> str:
    """Says what there is."""
    described = [(name, text) for name, (_, text) in COMMANDS.items()]
    return f"{__doc__}\n{_table([*described, _CONFIGS])}"


def configs() -> str:
    """Lists the config files, each with the first line of what it says of itself."""
    return _table([(f"configs/{path.name}", _first_line(path)) for path in config_files()])


def _first_line(path: pathlib.Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0]


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:{width}}  {text}" for name, text in rows)


if __name__ == "__main__":
    main()
