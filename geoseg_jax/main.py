"""Command line: flags -> config -> train.run.

    python -m geoseg_jax.main --config=configs/quickstart.py --workdir=W [--config.KEY=VALUE ...]

Exit codes: 0 finished, 1 an error that was told in one line (--debug shows where it came from),
143 and 130 stopped by SIGTERM and Ctrl-C after saving; the same command goes on from there.
"""

import difflib
import os
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file, FILE.py[:ARGUMENT]")
WORKDIR = flags.DEFINE_string("workdir", None, "the run's folder, continued where it has a run")
DEBUG = flags.DEFINE_bool("debug", False, "show the traceback of an error")
COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, or 'auto' on Cloud TPU; see launch/README.md"
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "processes of this run")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "number of this process, from 0")

HERE = pathlib.Path(__file__).resolve().parent


def find_config(argument: str) -> str:
    """FILE.py[:ARGUMENT] as it is, or with FILE in the package or checkout if it isn't here."""
    file, colon, rest = argument.partition(":")
    places = [pathlib.Path(file), HERE / file, HERE.parent / file]
    found = next((str(place) for place in places if place.is_file()), None)
    if found is None:
        known = sorted({f"configs/{p.name}" for h in places[1:] for p in h.parent.glob("*.py")})
        near = difflib.get_close_matches(file, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        raise FileNotFoundError(f"--config={file}: no such file{hint}")
    return found + colon + rest


def parse(argv: list[str]) -> list[str]:
    """absl's flag parser, with configs found from anywhere and errors in one line."""
    try:
        # config_flags reads sys.argv again to learn which overrides there are.
        sys.argv = argv = [
            f"--config={find_config(a.partition('=')[2])}" if a.startswith("--config=") else a
            for a in argv
        ]
        return flags.FLAGS(argv)
    except Exception as error:
        fail(error)


def fail(error: Exception) -> None:
    """One line on standard error and exit code 1; with --debug, the traceback."""
    if "--debug" in sys.argv:
        raise error
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    # Among several processes, the usual end would wait for the others, which wait for us.
    os._exit(1) if NUM_PROCESSES.present else sys.exit(1)


def main(argv: list[str]) -> None:
    # Imported here, since every worker process that reads data imports this file.
    from geoseg_jax import checkpoints, data, monitor, settings, sharding, train

    logging.set_verbosity(logging.ERROR)
    expected = (settings.ConfigError, checkpoints.CheckpointError, monitor.TrainingError)
    try:
        if argv[1:] or not CONFIG.value or not WORKDIR.value:
            raise settings.ConfigError(f"give --config and --workdir; unknown: {argv[1:]}")
        sharding.start(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
        result = train.run(CONFIG.value, WORKDIR.value)
    except (*expected, data.source.DataError, ValueError, OSError) as error:
        fail(error)
    sys.exit(128 + result.signal if result.signal else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
