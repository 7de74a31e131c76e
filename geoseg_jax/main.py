"""Trains and evaluates one config: flags -> config -> loop.run.

    python -m geoseg_jax.main --config=configs/quickstart.py --workdir=W [--config.KEY=VALUE ...]

Exit codes: 0 finished; 1 an error, told in one line (--debug shows where it came from); 143, 130
and 129 stopped by SIGTERM, Ctrl-C and SIGHUP after saving, and the same command goes on from there.
"""

import os
import sys

from absl import app, flags

from geoseg_jax.config.command_line import CONFIG, WORKDIR, fail, parse, quieten

COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, or 'auto'")
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "processes of this run")
BATCH_PER_DEVICE = flags.DEFINE_integer(
    "batch_per_device",
    None,
    "sets config.train.batch_size to so many on each device; the learning rate stays as it is",
    lower_bound=1,
)
PROCESS_ID = flags.DEFINE_integer("process_id", None, "number of this process, from 0")


def main(_: list[str]) -> None:
    """Runs, and ends the process with the exit code."""
    quieten()
    # Imported here, since every worker process that reads data imports this file.
    import jax

    from geoseg_jax import data
    from geoseg_jax.config.check import check_warm_up
    from geoseg_jax.training import checkpoints, compile_cache, loop, monitor, sharding

    expected = (data.source.DataError, checkpoints.CheckpointError, monitor.TrainingError)
    try:
        sharding.start(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
        check_warm_up(CONFIG.value)
        if BATCH_PER_DEVICE.value:
            CONFIG.value.train.batch_size = BATCH_PER_DEVICE.value * jax.device_count()
        sharding.say(compile_cache.keep_compiled())
        result = loop.run(CONFIG.value, WORKDIR.value)
    except (*expected, ValueError, OSError) as error:
        fail(error)
    except SystemExit as stopped:  # by a signal while compiling, which the usual end can't stand
        os._exit(stopped.code)
    sys.exit(128 + result.signal if result.signal else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: parse(argv, __doc__))
