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
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from geoseg_jax.config import files as config_files
from geoseg_jax.config import settings, table
from geoseg_jax.config.check import check
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import places
from geoseg_jax.data import factory
from geoseg_jax.data.packs import packed, packing
from geoseg_jax.data.packs.parts import RECORDS, SPLITS
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.readers import READERS
from geoseg_jax.data.source import DataError
from geoseg_jax.presets.argument import Help

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


def prepare(
    config: ConfigDict,
    out: pathlib.Path,
    *,
    height: int = 0,
    width: int = 0,
    quality: int = QUALITY,
    part_size: int = RECORDS,
    **how: Any,
) -> bool:
    """Packs what a config trains and is evaluated on, or a shard's share of it.

    Args:
      config: of `load_config`. out: the pack's folder. height, width: 0 = the config's.
      quality: of JPEG, up to 100.
      part_size: records in a part, the unit in which a stopped preparation continues.
      **how: see packing.pack.

    Returns:
      Whether the pack is complete; False where parts of other shards are missing.

    Raises:
      ConfigError, DataError: one line that names the cause and the remedy.
    """
    data = factory.make_data(as_packed(config, height, width))
    section = settings.plain(config.data)
    described = {k: v for k, v in section.items() if f"data.{k}" not in _NOT_IN_PLAN}
    plan = packing.make_plan(section, described, data, quality, part_size)
    return packing.pack(data, plan, out, **how)


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
        places.check_local(given.out, "--out")
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
    except Help as asked:  # CONFIG.py:help
        print(asked)
        return 0
    except (DataError, ConfigError, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
