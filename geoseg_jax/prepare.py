"""Packs the data of a config once, at training size, into a few large files that are read fast.

    python -m geoseg_jax.prepare configs/depth_kitti.py:mono_stereo --set root=/data/kitti_raw \
        --height 192 --width 640 --out /data/kitti_640x192

    python -m geoseg_jax.main --config=configs/depth_kitti.py:mono_stereo --workdir=W \
        --config.data.name=packed --config.data.root=/data/kitti_640x192

Everything that the config trains and is judged on is packed, with its truth: each picture once, as
JPEG at height x width, even if records share it as a neighbour. Pictures of classes keep their
proportions and just cover height x width, since random windows are cut out of them later: 256x256
is usual for ImageNet at 224x224.

Stopped at any moment, the same command goes on. --workers uses several cores. On several machines
that share a folder, each with its --shard i/n (i from 0), or apart, with the folders OUT.parts
brought together at the end and the command run once more without --shard. OUT is there when it is
complete and every hash has been compared; --verify compares them again.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import json
import multiprocessing
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.config import changes, settings, table
from geoseg_jax.config import files as config_files
from geoseg_jax.config.check import check
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import atomic
from geoseg_jax.data import factory
from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.packs import merge as pack_merge
from geoseg_jax.data.packs import packed
from geoseg_jax.data.packs import parts as pack_parts
from geoseg_jax.data.packs.parts import NAMES, RECORDS, SPLITS, part_path
from geoseg_jax.data.progress import track
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.readers import READERS
from geoseg_jax.data.source import DataError, can

PLAN = "plan.json"
QUALITY = 95
# Where the data lies and how it is read says nothing of what it is.
_NOT_IN_PLAN = table.keys(lambda setting: not (setting.numbers and setting.records))


def load_config(argument: str, changes: Sequence[str] = ()) -> ConfigDict:
    """Returns the config of FILE.py[:ARGUMENT] with KEY=VALUE changes of its section data.

    Raises:
      ConfigError, ValueError, OSError: for a file, argument or key that isn't known, a bad value.
    """
    config = config_files.load(argument)
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: write KEY=VALUE")
        config_files.change(config, f"data.{key.removeprefix('data.')}", value, f"--set {text}")
    return config


def as_packed(config: ConfigDict, height: int, width: int) -> ConfigDict:
    """Returns a config of what a pack keeps, at height x width (0: the config's own).

    Raises ConfigError for data that can't be packed.
    """
    data, reader = config.data, READERS.get(config.data.name)
    if reader not in _packable().values():
        raise ConfigError(
            f"config.data.name={data.name!r} can't be packed; known: {', '.join(_packable())}"
        )
    # Of the size that is trained at, which that of classes exceeds.
    check(config, skip=() if "task" in config else ("task", "model"))
    data.height, data.width = height or data.height, width or data.width
    with config.unlocked():
        data.crop_views = 1  # windows are drawn when the pack is read
        any_size = "data.fit" in reader.settings and data.get("crop_area")
        data.fit = "cover" if any_size else "crop"  # random windows are cut out of it
    return config


def _packable() -> dict[str, Reader]:
    """Returns what has no labels, which are few, and is no pack itself."""
    return {n: r for n, r in READERS.items() if not r.labelled and r is not packed.READER}


def make_plan(
    config: ConfigDict, data: factory.Data, quality: int, part_size: int = RECORDS
) -> dict[str, Any]:
    """Lists what is to be packed, as JSON; two commands share a pack if their plans are equal."""
    section = settings.plain(config.data)
    views: list[Any] = []
    if "frames" in section:
        views = [*section["frames"], *([packed.STEREO] if section.get("stereo") else [])]
    splits = {}
    for split, source in zip(SPLITS, data, strict=True):
        names = {k: list(getattr(source, k)) for k, has in NAMES.items() if can(source, has)}
        splits[split] = {
            "records": len(source),
            "parts": -(-len(source) // part_size),
            "left_out": dict(source.left_out),
            "fingerprint": source.fingerprint(),
            "names": names,
        }
    return {
        "format": packed.FORMAT,
        "source": {k: v for k, v in section.items() if f"data.{k}" not in _NOT_IN_PLAN},
        "height": section["height"],
        "width": section["width"],
        "fit": section["fit"],
        "quality": quality,
        "views": views,
        "bad_share": section.get("bad_share", 0.0),
        "part_size": part_size,
        "splits": splits,
    }


def write_plan(parts: pathlib.Path, plan: dict[str, Any]) -> None:
    """Leaves the plan in the folder of the parts.

    Raises DataError where that folder is of another plan, telling what differs.
    """
    path = parts / PLAN
    plan = json.loads(json.dumps(plan))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        differ = changes.changed(before, plan)
        if differ:
            lines = (f"{key}: {was!r} -> {now!r}" for key, (was, now) in differ.items())
            raise DataError(
                f"{parts} is of another preparation ({'; '.join(lines)}); choose another --out, or "
                "delete it"
            )
        return
    parts.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps(plan, indent=2, sort_keys=True) + "\n")


def parts_of(plan: dict[str, Any]) -> list[tuple[str, int]]:
    """Returns all parts of a plan, as (split, number)."""
    return [(split, n) for split in SPLITS for n in range(plan["splits"][split]["parts"])]


def prepare(
    config: ConfigDict,
    out: pathlib.Path,
    *,
    height: int = 0,
    width: int = 0,
    quality: int = QUALITY,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    part_size: int = RECORDS,
    keep_parts: bool = False,
) -> bool:
    """Packs what a config trains and is judged on, or this shard's share of it.

    Args:
      config: of `load_config`. out: the pack's folder. height, width: 0 = the config's.
      quality: of JPEG, up to 100. workers: processes. shard: (i, n), the i-th of n shares.
      part_size: records in a part, the unit in which a stopped preparation goes on.
      keep_parts: whether the folder of the parts stays when the pack is complete.

    Returns:
      Whether the pack is complete; False where parts of other shards are missing.

    Raises:
      ConfigError, DataError: one line that names the cause and the remedy.
    """
    data = factory.make_data(as_packed(config, height, width))
    plan = make_plan(config, data, quality, part_size)
    parts = out.with_name(out.name + ".parts")
    if (out / packed.FILE).is_file():
        _check_done(out, plan)
        return True
    if out.exists():
        raise DataError(f"--out={out} is there and is no pack; choose another folder")
    write_plan(parts, plan)
    mine = parts_of(plan)[shard[0] :: shard[1]]
    todo = [part for part in mine if not part_path(parts, *part).is_file()]
    print(f"{len(todo)} of {len(mine)} parts to make", flush=True)
    make = functools.partial(make_parts, data, parts, quality, part_size)
    with contextlib.closing(_made(make, parts, todo, workers)) as made:
        for _ in track(todo, "packing"):
            next(made)
    missing = [part for part in parts_of(plan) if not part_path(parts, *part).is_file()]
    if missing:
        print(f"{len(missing)} parts of other shards are missing; the last one makes {out}")
        return False

    def merge(folder: pathlib.Path) -> None:
        pack_merge.merge(parts, plan, folder)
        packed.verify(folder)

    made_once(out.parent, out.name, merge, "the pack")
    if not keep_parts:
        shutil.rmtree(parts, ignore_errors=True)
    return True


def _check_done(out: pathlib.Path, plan: dict[str, Any]) -> None:
    """Raises DataError where the pack that is there is of something else."""
    pack = packed.read_pack(out)
    same = {key: (pack[key], plan[key]) for key in ("height", "width", "fit", "quality", "views")}
    for split in SPLITS:
        both = (pack["splits"][split]["fingerprint"], plan["splits"][split]["fingerprint"])
        same[f"{split} data"] = both
    differ = [f"{key}: {was!r} -> {now!r}" for key, (was, now) in same.items() if was != now]
    if differ:
        raise DataError(f"--out={out} holds another pack ({'; '.join(differ)}); choose another")


def _made(
    make: Callable[[Sequence[tuple[str, int]]], None],
    parts: pathlib.Path,
    todo: Sequence[tuple[str, int]],
    workers: int,
) -> Iterator[None]:
    """Makes the parts, in this process or in several; yields for each that is there."""
    if workers <= 1:
        for part in todo:
            make([part])
            yield
        return
    context = multiprocessing.get_context("spawn")  # of what runs here nothing is inherited
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        # A share each, so that the sources, which may name a million files, travel only once.
        shares = (todo[number::workers] for number in range(workers))
        running = [pool.submit(make, share) for share in shares]
        waited = set(todo)
        while waited:
            for work in concurrent.futures.wait(running, timeout=0.5).done:
                work.result()  # raises what went wrong there
            there = {part for part in waited if part_path(parts, *part).is_file()}
            waited -= there
            yield from (None for _ in there)


def make_parts(
    data: factory.Data,
    parts: pathlib.Path,
    quality: int,
    part_size: int,
    todo: Sequence[tuple[str, int]],
) -> None:
    """Makes parts, except those that another process has made meanwhile."""
    for split, number in todo:
        path = part_path(parts, split, number)
        if not path.is_file():
            source = getattr(data, split)
            part = pack_parts.make_part(source, number, quality, part_size)
            pack_parts.write_part(path, part)


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} must be i/n with i from 0 to n - 1, as in 0/4")
    return int(index), int(count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.prepare", description=__doc__.partition("\n")[0]
    )
    add = parser.add_argument
    add("source", nargs="?", metavar="CONFIG", help="FILE.py[:ARGUMENT], as training takes it")
    add("--out", type=pathlib.Path, required=True, help="the pack's folder")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of config.data")
    add("--height", type=int, default=0, help="of the pictures; 0 = the config's")
    add("--width", type=int, default=0)
    add("--quality", type=int, default=QUALITY, help="of JPEG, 1 to 100")
    add("--workers", type=int, default=1, help="processes")
    add("--shard", type=_shard, default=(0, 1), metavar="i/n", help="the i-th of n shares, from 0")
    add("--keep-parts", action="store_true", help="leave OUT.parts where it is")
    add("--verify", action="store_true", help="compare the hashes of a pack that is there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    given = _parser().parse_args(arguments)
    out = given.out.expanduser().absolute()
    try:
        if given.verify:
            counts = packed.verify(out)
        else:
            if not given.source:
                raise ConfigError("CONFIG is missing; name a config file, or give --verify")
            if not 1 <= given.quality <= 100:
                raise ConfigError(f"--quality={given.quality} must lie between 1 and 100")
            complete = prepare(
                load_config(given.source, given.set),
                out,
                height=given.height,
                width=given.width,
                quality=given.quality,
                workers=given.workers,
                shard=given.shard,
                keep_parts=given.keep_parts,
            )
            if not complete:
                return 0
            pack = packed.read_pack(out)
            counts = {key: pack[key] for key in ("frames", "arrays")}
            counts |= {split: pack["splits"][split]["records"] for split in SPLITS}
    except (DataError, ConfigError, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
