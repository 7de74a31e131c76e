"""Packs data part by part, in processes and on machines that share the work, and merges the parts.

Stopped at any moment, it goes on with the parts that are not there yet.
"""

import concurrent.futures
import contextlib
import functools
import json
import multiprocessing
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from geoseg_jax.core import atomic
from geoseg_jax.core.nested import changed
from geoseg_jax.data import factory
from geoseg_jax.data.made_once import made_once
from geoseg_jax.data.packs import merge as pack_merge
from geoseg_jax.data.packs import packed
from geoseg_jax.data.packs import parts as pack_parts
from geoseg_jax.data.packs.parts import NAMES, RECORDS, SPLITS, part_path
from geoseg_jax.data.progress import track
from geoseg_jax.data.source import DataError, can

PLAN = "plan.json"


def make_plan(
    section: Mapping[str, Any],
    described: Mapping[str, Any],
    data: factory.Data,
    quality: int,
    part_size: int = RECORDS,
) -> dict[str, Any]:
    """Lists what is to be packed, as JSON; two commands share a pack if their plans are equal.

    section: of the config that gives the data. described: of that, what says what the data is.
    """
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
        "source": dict(described),
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
        differ = changed(before, plan)
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


def pack(
    data: factory.Data,
    plan: dict[str, Any],
    out: pathlib.Path,
    *,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    keep_parts: bool = False,
) -> bool:
    """Packs what a plan lists, or this shard's share of it.

    Args:
      data: what the plan was made from. out: the pack's folder. workers: processes.
      shard: (i, n), the i-th of n shares.
      keep_parts: whether the folder of the parts stays when the pack is complete.

    Returns:
      Whether the pack is complete; False where parts of other shards are missing.

    Raises:
      DataError: one line that names the cause and the remedy.
    """
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
    make = functools.partial(make_parts, data, parts, plan["quality"], plan["part_size"])
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
