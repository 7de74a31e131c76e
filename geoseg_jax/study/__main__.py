"""Plans, trains and reports a study.

    python -m geoseg_jax.study --config=configs/study_quick.py --workdir=W
        --dry_run             print the plan and its cost; train nothing
        --processes=2         train two jobs at once, each on a GPU, or on its share of the cores
        --stack=8             train up to eight replicates at once, as one program on the GPU or TPU
        --cells=0/4           train a quarter of the cells; other machines may train the rest
        --commands            print the command of each job, for a job array
        --only=ID             train that job only; write no report
        --retry               try failed jobs again
        --report              write the report; train nothing

After an interruption, repeat the command to continue. Exit codes are those of geoseg_jax.main, and
2 where some jobs failed and the rest are done.
"""

import os
import pathlib
import shlex
import sys

from absl import app, flags

from geoseg_jax.config.command_line import CONFIG, WORKDIR, fail, parse, quieten
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import gpus

CELLS = flags.DEFINE_string("cells", "0/1", "I/N: train part I (from 0) of N of the cells")
PROCESSES = flags.DEFINE_integer(
    "processes", 1, "jobs at once, each on its share of the GPUs or the cores", lower_bound=1
)
STACK = flags.DEFINE_integer(
    "stack", 1, "replicates trained at once as one program, on GPUs and TPUs", lower_bound=1
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "print the plan and its cost; train nothing")
COMMANDS = flags.DEFINE_bool("commands", False, "print the command of each job")
ONLY = flags.DEFINE_string("only", "", "id of the only job to train")
RETRY = flags.DEFINE_bool("retry", False, "try failed jobs again")
# Of a study's config: what these hold is settings of other configs.
SECTIONS = ("target.set", "pretraining")
REPORT = flags.DEFINE_bool("report", False, "write the report; train nothing")


def part_of(text: str) -> tuple[int, int]:
    """Parses 'I/N' as (I, N).

    Raises:
      ConfigError: where it isn't that, or I isn't below N.
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ConfigError(f"--cells={text} must be I/N with I from 0 to N - 1, such as 0/4")
    return int(index), int(count)


def check_flags() -> None:
    """Raises ConfigError for flags that can't stand together."""
    part_of(CELLS.value)
    others = [f.name for f in (DRY_RUN, COMMANDS, REPORT) if f.value]
    if ONLY.value and others:
        raise ConfigError(f"--only={ONLY.value} cannot be combined with --{others[0]}")


def _to_repeat(arguments: list[str]) -> str:
    """Gives the whole study's command, whatever part of it this process does."""
    switches = ("--retry", "--report", "--debug", "--commands", "--dry_run")
    values = ("--cells", "--only")
    kept = [a for a in arguments if not a.startswith((*switches, *(f"{v}=" for v in values)))]
    for name in set(values) & set(kept):  # with the value in a word of its own
        at = kept.index(name)
        kept[at : at + 2] = []
    return shlex.join(["python", "-m", "geoseg_jax.study", *kept])


def main(_: list[str]) -> None:
    """Runs, and ends the process with the exit code."""
    workdir = pathlib.Path(WORKDIR.value).expanduser().absolute()
    environments = gpus.share(1 if DRY_RUN.value or COMMANDS.value else PROCESSES.value)
    quieten(once=True)
    # Here, since jax reads these when it is imported.
    from geoseg_jax import data
    from geoseg_jax.study import conduct, guard
    from geoseg_jax.training import checkpoints, compile_cache, monitor

    if (line := compile_cache.keep_compiled()).startswith(compile_cache.NOT_KEPT):
        print(line)
    expected = (data.source.DataError, checkpoints.CheckpointError, monitor.TrainingError)
    try:
        code = conduct.conduct(
            CONFIG.value,
            workdir,
            part=part_of(CELLS.value),
            count=PROCESSES.value,
            stack=STACK.value,
            environments=environments,
            dry_run=DRY_RUN.value,
            commands=COMMANDS.value,
            only=ONLY.value,
            retry=RETRY.value,
            report_only=REPORT.value,
            command=_to_repeat(sys.argv[1:]),
        )
    except SystemExit as stopped:  # by a signal while compiling, which the usual end can't stand
        os._exit(stopped.code)
    except KeyboardInterrupt:  # between two jobs; within one, training saves first
        print("stopped; repeat the command to continue", file=sys.stderr)
        code = 130
    except guard.UnfairError as error:
        fail(error, guard.table(error.differences))
    except (*expected, ValueError, OSError) as error:
        fail(error)
    sys.exit(code)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: parse(argv, __doc__, check_flags, SECTIONS, study=True))
