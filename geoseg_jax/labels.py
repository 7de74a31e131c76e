"""Brings labels of annotation tools into the layout that training reads, to look at and to count.

    python -m geoseg_jax.labels SOURCE --out=ROOT

SOURCE: COCO JSON, LabelMe JSON, CVAT "Segmentation mask", Pascal VOC, Roboflow masks, Label Studio
JSON, or masks as PNG: class ids, colours, or 0 and 255. docs/labels.md says what each must look
like. ROOT then is what `--config=configs/segment_folder.py --config.data.root=ROOT` trains on.
"""

import argparse
import pathlib
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from geoseg_jax.core import places
from geoseg_jax.core.tell import tell
from geoseg_jax.data.annotations import recognise
from geoseg_jax.data.annotations.found import BACKGROUND, Asked
from geoseg_jax.data.annotations.write import Counts, write
from geoseg_jax.data.pictures import fitting, picture_size
from geoseg_jax.data.source import DataError


def report(format: str, counts: Counts, out: pathlib.Path) -> str:
    """Returns lines: what was read, each class with its pixels and pictures, notes, what next."""
    total = max(sum(counts.pixels), 1)
    width = max(map(len, (*counts.table.classes, "ignored")))
    lines = [f"recognised {format}: {counts.pictures} labelled pictures", ""]
    lines.append(f"{'class':<{width}}  {'pixels':>12}  {'share':>7}  pictures")
    names = (*counts.table.classes, "ignored")
    for name, pixels, shown in zip(names, counts.pixels, counts.shown, strict=True):
        share = f"{100 * pixels / total:.2f} %"
        lines.append(f"{name:<{width}}  {pixels:>12,}  {share:>7}  {shown}")
    lines.append("")
    absent = [
        n for n, pixels in zip(counts.table.classes, counts.pixels, strict=False) if not pixels
    ]
    if absent:
        lines.append(f"note: no pixel is {', '.join(absent)}")
    lines += map("note: {}".format, _to_decide(counts))
    lines += map("note: {}".format, counts.notes.lines())
    pictures = (path for path in (out / "images").rglob("*") if path.is_file())
    height, width = fitting(*picture_size(min(pictures)))
    lines.append(f"wrote {out}; look at {out / 'overlays'} before you train, then:")
    lines.append(
        f"python -m geoseg_jax.main --config=configs/segment_folder.py:resolution={width}x{height} "
        f"--workdir=W --config.data.root={shlex.quote(str(out))}"
    )
    lines.append(
        "which is 2,000 steps, about an hour on two CPU cores; --config.train.steps=200 for a try"
    )
    return "\n".join(lines)


def _to_decide(counts: Counts) -> Iterator[str]:
    """Yields what only the owner of the labels knows: is a gap a class, are two names one?"""
    if any(p for n, p in zip(counts.table.classes, counts.pixels, strict=False) if n == BACKGROUND):
        yield (
            f"{BACKGROUND}, what nobody annotated, is learned and judged as a class; where it is "
            "gaps between shapes, --background=ignore leaves it out"
        )
    seen: dict[str, str] = {}
    for name in counts.table.classes:
        first = seen.setdefault(re.sub(r"[\W_]+", "", name).casefold() or name, name)
        if first != name:
            yield f"{first!r} and {name!r} are two classes; where they are one, rename its shapes"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.labels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, path = parser.add_argument, pathlib.Path
    add("source", type=path, metavar="SOURCE", help="a folder, or a JSON file")
    add("--out", type=path, required=True, metavar="ROOT", help="folder to write, not there yet")
    add("--images", type=path, metavar="FOLDER", help="pictures, where they lie elsewhere")
    add("--classes", type=path, metavar="FILE", help="class list: names, perhaps with colours")
    add("--format", default="", help=f"where there are several: {', '.join(recognise.FORMATS)}")
    add(
        "--background",
        choices=("class", "ignore"),
        default="class",
        help="what nobody annotated: a class of its own, or not trained on",
    )
    add(
        "--keep_empty",
        "--keep-empty",
        action="store_true",
        help="pictures without a shape are all background, not left out",
    )
    add("--overlays", type=int, default=32, metavar="N", help="pictures to look at; 0 = none")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    given = _parser().parse_args(arguments)
    asked = Asked(
        given.source.expanduser(),
        given.images and given.images.expanduser(),
        given.classes and given.classes.expanduser(),
        given.keep_empty,
    )
    out = given.out.expanduser()
    try:
        places.check_local(given.source, "SOURCE")
        places.check_local(out, "--out")
        found = recognise.read(asked, given.format)
        ignore = given.background == "ignore"
        counts = write(found, out, ignore_background=ignore, overlays=max(given.overlays, 0))
    except (DataError, places.ConfigError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    tell(report(found.format, counts, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
