"""Probes frozen encoders on your labelled pictures: which features say most, in minutes.

    python -m geoseg_jax.probe --data=FOLDER --encoders=runs/depth,hf:timm/resnet18.a1_in1k --out=W

FOLDER is what configs/segment_folder.py takes: images/, labels/ and classes.txt. No network is
trained: a nearest-neighbour and a linear classifier read the features of each encoder, every
picture judges once, and W gets probe.html (open it), probe.csv and probe.json. docs/probe.md
says what the numbers mean.
"""

import argparse
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import flags, logging
from rich.console import Console
from rich.table import Table

from geoseg_jax.config.command_line import quieten
from geoseg_jax.core.tell import tell_error
from geoseg_jax.data.source import DataError
from geoseg_jax.probing import describe, run, sources
from geoseg_jax.report import probe as page
from geoseg_jax.training.compile_cache import keep_compiled


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _whole(text: str) -> list[int]:
    if not all(word.isdecimal() for word in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, such as 8,16,0")
    return list(dict.fromkeys(int(word) for word in text.split(",")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.probe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, usual = parser.add_argument, describe.Asked._field_defaults
    add("--data", default="", metavar="FOLDER", help="labelled pictures; with --config its root")
    add("--config", default="", metavar="FILE.py", help="a segment_ config: its training pictures")
    add(
        "--encoders",
        type=_words,
        required=True,
        metavar="A,B,...",
        help="runs, weights files, hf:OWNER/NAME, torchvision:MODEL, random, random:resnet50 or "
        "statistics; NAME=SOURCE to name one",
    )
    add("--out", type=pathlib.Path, required=True, metavar="W", help="folder to write to")
    add(
        "--reference",
        default="",
        metavar="NAME",
        help="what others are compared with (default: the first)",
    )
    add(
        "--baselines",
        type=_words,
        default=usual["baselines"],
        metavar="WORDS",
        help=f"added to the encoders (default: {','.join(usual['baselines'])}; nothing for none)",
    )
    add(
        "--labels", type=_whole, metavar="N,...", help="pictures that train, 0 = all (default: 8,0)"
    )
    for name, meaning in (
        ("repeats", "choices of the pictures that train, where these aren't all"),
        ("folds", "parts that the pictures are dealt into; each judges once"),
        ("stride", "pixels of a cell of the grid, 4, 8, 16 or 32"),
        ("pictures", "how many are used at most, spread over all; 0 = all"),
        ("shown", "pictures on the page"),
    ):
        meaning += " (default: %(default)s)"
        add(f"--{name}", type=int, default=usual[name], metavar="N", help=meaning)
    meaning = f"strides of the features (default: {','.join(map(str, usual['stages']))})"
    add("--stages", type=_whole, default=usual["stages"], metavar="N,...", help=meaning)
    meaning = "that pictures are resized to (default: a long side of 320, or near the config's)"
    add("--resolution", default="", metavar="WxH", help=meaning)
    add(
        "--statistics",
        choices=(sources.FROZEN, sources.CALIBRATED),
        default=usual["statistics"],
        help="of batch norms: as they come, or computed on these pictures without their labels "
        "(default: %(default)s)",
    )
    return parser


def show(content: dict, console: Console) -> None:
    """Prints the answer, the scores and the differences."""
    for line in page.answer(content):
        console.print(line, highlight=False, markup=False)
    for header, rows in (page.result_table(content), page.difference_table(content)):
        if not rows:
            continue
        table = Table()
        for name in header:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table, markup=False)
    for line in page.cautions(content):
        console.print(f"note: {line}", highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    given = _parser().parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "geoseg_jax.probe", *words])
    given.out = pathlib.Path(os.path.expanduser(given.out))
    if arguments is None:
        flags.FLAGS.mark_as_parsed()  # else absl's log begins with a warning that it is early
    quieten()
    logging.set_verbosity(logging.WARNING)
    keep_compiled()
    try:
        content = run.probe(describe.Asked(**vars(given), command=command))
    except (DataError, ValueError, OSError) as error:
        tell_error(f"error: {' '.join(str(error).split())}")
        return 1
    show(content, Console())
    print(f"wrote {given.out / run.PAGE}, {run.CSV} and {run.RECORD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
