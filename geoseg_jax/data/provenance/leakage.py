"""Whether a test split shares pictures or drives with what a network was trained on.

    python -m geoseg_jax.data.provenance.leakage A B [--json=FILE]

compares two runs, each given as its folder or its manifest.json, and ends with 1 where B is tested
on something that A, or one of A's ancestors, was trained on. Files are compared by their content
(see `reads.quick_hash`), whatever they are called; drives by name. The same picture encoded anew
has another content: for KITTI's labelled pictures, which are PNG files of their own, the drives
tell. Files of labels don't count: two empty ones are alike, of whatever pictures.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from geoseg_jax.core.formats import count
from geoseg_jax.data.provenance.reads import FILE, Reads, Recorder, RunReads, read_run
from geoseg_jax.data.source import LABEL, DataError

METRICS = (
    "leakage_shared_files",
    "leakage_shared_drives",
    "leakage_unknown_ancestors",
    "leakage_unknown_drives",
)
_SHOWN = 8  # names in a line


class Shared(NamedTuple):
    """What a tested split has in common with what was trained on.

    files: names of pictures in the tested split. drives: their names. unknown: ancestors of which
    nobody wrote down what they were trained on. without_drive: tested records whose drive is
    unknown, so that nobody can tell whether it is shared.
    """

    files: tuple[str, ...]
    drives: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    without_drive: int = 0

    def __bool__(self) -> bool:
        """Tells whether anything is shared."""
        return bool(self.files or self.drives)

    def metrics(self) -> dict[str, float]:
        """Returns the numbers for eval.json, named METRICS."""
        counts = (len(self.files), len(self.drives), len(self.unknown), self.without_drive)
        return dict(zip(METRICS, map(float, counts), strict=True))

    def describe(self, whose: str, own: bool = False) -> list[str]:
        """Writes log lines on what was trained on; none where nothing is shared, all known.

        own: it is the training split of the very run. That both are of one recording is then what
        somebody chose, as for the end of each of one's videos, and no alarm.
        """
        lines = []
        pictures, recordings = (
            count(len(self.files), "picture"),
            count(len(self.drives), "recording"),
        )
        if self.files or (self.drives and not own):
            lines.append(
                f"LEAKAGE: the test split shares {pictures} and {recordings} with {whose}: "
                f"{some(self.drives or self.files)}"
            )
        elif self.drives:
            lines.append(
                f"note: the test split has other pictures of {recordings} in {whose} "
                f"({some(self.drives)}); frames of one recording look alike, so expect less of one "
                "that was never seen"
            )
        if self.unknown:
            lines.append(f"leakage: what {some(self.unknown)} was trained on is not recorded")
        return lines


def between(splits: Iterable[tuple[str, Reads]], tested: Reads) -> Shared:
    """Returns what `tested` shares with the splits (name, what it reads) that were trained on."""
    hashes: set[str] = set()
    drives: set[str] = set()
    unknown = []
    for name, trained in splits:
        hashes.update(_pictures(trained).values())
        drives.update(trained.drives)
        if not trained.known:
            unknown.append(name)
    hashes.discard("")  # of files that could not be read
    return Shared(
        tuple(sorted(name for name, value in _pictures(tested).items() if value in hashes)),
        tuple(sorted(drives & set(tested.drives))),
        tuple(unknown),
        tested.without_drive,
    )


def _pictures(reads: Reads) -> dict[str, str]:
    """Returns the files without labels."""

    def is_label(name: str) -> bool:
        return name.endswith(LABEL) and name.removesuffix(LABEL) in reads.files

    return {name: value for name, value in reads.files.items() if not is_label(name)}


def of_run(run: RunReads) -> Shared:
    """Finds what a run's test split shares with its training split and those of its ancestors."""
    return between([*run.ancestors, ("", run.train)], run.eval)


def lines_of_run(run: RunReads) -> list[str]:
    """Writes log lines on a run, its ancestors' training apart from its own."""
    past, own = between(run.ancestors, run.eval), between([("", run.train)], run.eval)
    lines = past.describe("the training data of the pre-trained weights")
    lines += own.describe("the run's own training split", own=True)
    # Where no recording is known at all, as in most folders, there is nothing to compare with.
    known = {d for reads in (run.train, *(r for _, r in run.ancestors)) for d in reads.drives}
    if run.eval.without_drive and known:
        lines.append(
            f"note: {count(run.eval.without_drive, 'test picture')} may be of a recording that was "
            f"trained on ({some(sorted(known))}), as nobody said of which they are; in a folder of "
            "your own, images/RECORDING/NAME.jpg does"
        )
    return lines


class Watch:
    """Records what a run reads (see Recorder) and tells what its test split shares with training.

    data, workdir, data_sha256: of the run. sources: where its weights came from, () = nowhere.
    say: takes each line for the log, as soon as it is known.
    """

    def __init__(
        self,
        data: Any,
        workdir: pathlib.Path,
        data_sha256: str,
        sources: Iterable[str],
        say: Callable[[str], None],
    ):
        def tell(found: RunReads) -> None:
            if found.ancestors:
                for split, reads in (("train", found.train), ("test", found.eval)):
                    say(f"{split} split: {origin(reads)}")
            for line in lines_of_run(found):
                say(line)

        self._recorder = Recorder(data, workdir / FILE, data_sha256, sources, tell)

    def finish(self) -> tuple[dict[str, float | None], dict[str, Any]]:
        """Returns numbers for eval.json, and the manifest's entry under data.

        Where the record failed each number is None, which is not 0: nobody knows.
        """
        found = self._recorder.finish()
        if found is None:
            return dict.fromkeys(METRICS), {}
        return of_run(found).metrics(), {"files": self._recorder.entry()}

    def stop(self) -> None:
        """Gives up recording."""
        self._recorder.stop()


def origin(reads: Reads) -> str:
    """Lists the recordings that a split comes from, in one line."""
    known = f"{len(reads.files)} files of {count(len(reads.drives), 'known recording')}"
    names = f" ({some(reads.drives)})" if reads.drives else ""
    return f"{known}{names}, {count(reads.without_drive, 'record')} of unknown ones"


class Row(NamedTuple):
    """One comparison of a split of A with one of B."""

    a: str
    b: str
    shared: Shared
    leak: bool  # something that was trained on is tested


def compare(a: RunReads, b: RunReads) -> list[Row]:
    """Compares every split of A and every ancestor's training with both splits of B."""
    sides = [(f"ancestor {name}", reads, True) for name, reads in a.ancestors]
    sides += [("train", a.train, True), ("eval", a.eval, False)]
    rows = []
    for b_name, tested in (("eval", b.eval), ("train", b.train)):
        for a_name, reads, trained in sides:
            shared = between([(a_name, reads)], tested)
            rows.append(Row(a_name, b_name, shared, trained and b_name == "eval" and bool(shared)))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Returns the comparisons as text, a line each, with the names of some of what is shared."""
    width = max(len("split of A"), *(len(row.a) for row in rows))
    lines = [f"{'split of A':<{width}}  split of B  shared files  shared drives"]
    for row in rows:
        shared = row.shared
        line = f"{row.a:<{width}}  {row.b:<10}  {len(shared.files):>12}  {len(shared.drives):>13}"
        if shared.unknown:
            line = f"{row.a:<{width}}  {row.b:<10}  {'not recorded':>12}  {'not recorded':>13}"
        names = some(shared.drives or shared.files)
        lines.append(line + (f"  {names}" if names else "") + ("  <- LEAK" if row.leak else ""))
    return "\n".join(lines)


def some(names: Sequence[str]) -> str:
    """Returns the first few names and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns the comparisons with all names, and whether any is a leak."""
    entries = [
        {
            "a": row.a,
            "b": row.b,
            "leak": row.leak,
            "files": list(row.shared.files),
            "drives": list(row.shared.drives),
            "recorded": not row.shared.unknown,
        }
        for row in rows
    ]
    return {"leak": any(row.leak for row in rows), "rows": entries}


def main(arguments: Sequence[str]) -> int:
    """Returns the command: 0 = nothing shared, 1 = a leak, 2 = a file can't be read or written."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.data.provenance.leakage",
        description="whether B is tested on files or drives that A or its ancestors trained on",
    )
    parser.add_argument("a", help="the folder of a run, or its manifest.json")
    parser.add_argument("b", help="of another run, or the same")
    parser.add_argument("--json", help="a file for the result with all names")
    options = parser.parse_args(arguments)
    try:
        return _run(options.a, options.b, options.json)
    except (DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _run(a: str, b: str, json_file: str | None) -> int:
    rows = compare(read_run(a), read_run(b))
    print(f"A = {a}\nB = {b}\n{table(rows)}")
    result = as_json(rows)
    print("LEAKAGE: B is tested on what A was trained on" if result["leak"] else "no leakage found")
    if json_file:
        content = json.dumps(result, indent=2, sort_keys=True)
        pathlib.Path(json_file).write_text(content + "\n", encoding="utf-8")
    return int(result["leak"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
