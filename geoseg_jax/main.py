"""Command line: flags -> config -> train.run.

    python -m geoseg_jax.main --config=configs/quickstart.py --workdir=W [--config.KEY=VALUE ...]

Exit codes: 0 finished; 1 an error, told in one line (--debug shows where it came from); 143 and
130 stopped by SIGTERM and Ctrl-C after saving, and the same command goes on from there.
"""

import os
import sys
from logging import ERROR, Formatter

from absl import app, flags, logging
from ml_collections import config_flags

from geoseg_jax.settings import ConfigError, find_config

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file, FILE.py[:ARGUMENT]")
WORKDIR = flags.DEFINE_string("workdir", None, "the run's folder, continued where it has a run")
DEBUG = flags.DEFINE_bool("debug", False, "show the traceback of an error")
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, or 'auto'")
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "processes of this run")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "number of this process, from 0")


def parse(argv: list[str]) -> list[str]:
    """absl's flag parser, with configs found from anywhere and errors in one line."""
    try:
        # config_flags reads sys.argv again to learn which settings are overridden.
        sys.argv = argv = [
            f"--config={find_config(a.partition('=')[2])}" if a.startswith("--config=") else a
            for a in argv
        ]
        rest = flags.FLAGS(argv)[1:]
        if rest or not CONFIG.value or not WORKDIR.value:
            unknown = f"; unknown: {' '.join(rest)}" if rest else ""
            raise ConfigError(f"needed are --config=FILE.py and --workdir=FOLDER{unknown}")
    except Exception as error:
        fail(error)
    return argv[:1]


def fail(error: Exception) -> None:
    """One line on standard error and exit code 1; with --debug, the traceback."""
    if "--debug" in sys.argv:
        raise error
    text = str(error)
    if isinstance(error, AttributeError) and isinstance(error.args[0], KeyError):
        text = f"no such setting: {error.args[0].args[0]}"  # ml_collections, with a near miss
    if "Traceback" in text:  # of the config file
        text = text.strip().splitlines()[-1].removeprefix("ValueError: ")
    print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)
    # Among several processes, the usual end would wait for the others, which wait for us.
    many = "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()
    os._exit(1) if many else sys.exit(1)


def main(_: list[str]) -> None:
    """Runs, and ends the process with the exit code."""
    # Imported here, since every worker process that reads data imports this file.
    from geoseg_jax import checkpoints, data, monitor, sharding, train

    # Our own remarks, and of others' what is serious.
    handler, here = logging.get_absl_handler().python_handler, os.path.dirname(__file__) + os.sep
    handler.addFilter(lambda r: r.pathname.startswith(here) or r.levelno >= ERROR)
    handler.setFormatter(Formatter("%(message)s"))
    expected = (data.source.DataError, checkpoints.CheckpointError, monitor.TrainingError)
    try:
        sharding.start(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
        result = train.run(CONFIG.value, WORKDIR.value)
    except (*expected, ValueError, OSError) as error:
        fail(error)
    except SystemExit as stopped:  # by a signal while compiling, which the usual end can't stand
        os._exit(stopped.code)
    sys.exit(128 + result.signal if result.signal else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
