"""Reads mutated files in one warm process per format, and says what each of them led to.

The process reads one file after the other; whoever started it watches from outside, so that a crash
or an endless loop costs one file and is told.
"""

import json
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from tests.robustness import formats, hostile
from tests.robustness.hostile import BY_HAND
from tests.robustness.mutate import mutate

# What may become of a file; the first two are right.
OUTCOMES = ("read", "clear", "unnamed", "raw", "crash", "hang", "memory")
WRONG = OUTCOMES[2:]
SECONDS, BYTES = 1.0, 200 << 20  # what one file of some kilobytes may take, of a processor's time
# Nobody waits any longer for a file that has taken so much of a processor, or that does nothing.
_BUSY, _BLOCKED = 10.0, 60.0
_STARTED = 300.0  # seconds to import all that a format needs, on a busy machine
_TICK = 2.0  # seconds between two looks
_ADDRESS_SPACE = 8 << 30  # beyond what the process has when it is warm: the machine must live
_LONGEST = 1500  # characters of a message that still is one clear line
_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Finding(NamedTuple):
    """What a mutation led to."""

    number: int
    outcome: str
    text: str = ""


def counts(findings: list[Finding]) -> Counter[str]:
    """Counts findings by their outcome."""
    return Counter(finding.outcome for finding in findings)


class Readers:
    """Starts the processes that read: one has imported the readers and forks for each format.

    program: Python's arguments for that process.
    """

    def __init__(self, program: Sequence[str] = ("-m", "tests.robustness.harness")):
        self._program = program

    def __enter__(self) -> "Readers":
        self._errors = tempfile.TemporaryFile()
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, *self._program],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,  # or lines wait in a buffer that select knows nothing of
            env=os.environ | {"TMPDIR": self._folder.name, "XDG_CACHE_HOME": self._folder.name},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()
        self._errors.close()

    def run(self, name: str, numbers: range) -> list[Finding]:
        """Reads a format's mutations of these numbers; starts anew behind one that it died of."""
        findings: list[Finding] = []
        at = numbers.start
        while at < numbers.stop:
            for finding in self._watch(name, range(at, numbers.stop)):
                findings.append(finding)
                at = finding.number + 1
        return findings

    def _watch(self, name: str, numbers: range) -> Iterator[Finding]:
        """Yields what one process tells; where it dies or hangs, that is told for it."""
        self._errors.seek(0)
        self._errors.truncate()
        self._process.stdin.write(f"{json.dumps([name, numbers.start, numbers.stop])}\n".encode())
        self._process.stdin.flush()
        reading: int | None = None  # the number of the mutation
        pid, hung = 0, False
        while True:
            line = self._line(pid if reading is not None and not hung else 0)
            if line is None and reading is not None and not hung:
                hung = True
                os.kill(pid, signal.SIGKILL)
                continue
            assert line, f"{name}: the process that reads does not start: {self._words()}"
            word, *rest = json.loads(line)
            if word == "begun":
                pid = rest[0]
            elif word == "start":
                reading = rest[0]
            elif word == "done":
                reading = None
                yield Finding(*rest)
            elif reading is None:
                assert rest == [0], f"{name}: {self._words()}"
                return
            else:
                why = "nobody waits any longer" if hung else f"ended with {rest[0]}"
                yield Finding(
                    reading, "hang" if hung else "crash", f"{why}: {self._words()[-300:]}"
                )
                return

    def _line(self, pid: int) -> bytes | None:
        """The next line; None where the process `pid` reads a file (0: none) and hangs."""
        start, used = time.monotonic(), cpu_seconds(pid)
        while not select.select([self._process.stdout], [], [], _TICK)[0]:
            waited, busy = time.monotonic() - start, cpu_seconds(pid) - used
            if busy > _BUSY or waited > (_BLOCKED if pid and busy < SECONDS else _STARTED):
                return None
        return self._process.stdout.readline()

    def _words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-1500:]


def main() -> None:
    """Entry of the warm process: forks for each [FORMAT, START, STOP] on standard input."""
    from geoseg_jax.data import readers

    del readers  # imported once for all formats
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no finding

    def tell(*words: object) -> None:
        out.write(json.dumps(words) + "\n")
        out.flush()

    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            _read_all(tell, *json.loads(line))
        tell("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _read_all(tell: Callable[..., None], name: str, start: int, stop: int) -> NoReturn:
    code = 1
    try:
        tell("begun", os.getpid())
        with tempfile.TemporaryDirectory() as folder:
            reading = Reading(name, pathlib.Path(folder))
            for number in range(start, stop):
                tell("start", number)
                tell("done", number, *reading.outcome(number))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # what a hostile file left behind must not be met once more


class Reading:
    """One format, warm: its good files are read once before any is mutated."""

    def __init__(self, name: str, folder: pathlib.Path):
        self._case, self._root = formats.FORMATS[name.partition(BY_HAND)[0]], folder / "root"
        self._by_hand = list(hostile.FILES[name].values()) if BY_HAND in name else []
        self._root.mkdir()
        self._path = self._case.make(self._root)
        self._good = self._path.read_bytes()
        self._seed = self._case.part.take(self._good)
        self._case.read(self._root)  # must not raise
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
        limit = pages * resource.getpagesize() + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def outcome(self, number: int) -> tuple[str, str]:
        """Reads mutation `number`; what is slow is tried again, as caches may have been cold."""
        for _ in range(3):
            self._path.write_bytes(self._content(number))
            _reset_peak()
            before, start = _resident("VmRSS"), cpu_seconds(os.getpid())
            found = self._read()
            seconds, took = cpu_seconds(os.getpid()) - start, _resident("VmHWM") - before
            if found[0] in WRONG or took > BYTES or seconds <= SECONDS:
                break
        if found[0] not in WRONG and took > BYTES:
            return "memory", f"{took >> 20} MiB; {found[1]}"
        if found[0] not in WRONG and seconds > SECONDS:
            return "hang", f"{seconds:.1f} s; {found[1]}"
        return found

    def _content(self, number: int) -> bytes:
        if self._by_hand:
            return self._by_hand[number](self._good)
        return self._case.part.put(self._good, mutate(self._seed, number))

    def _read(self) -> tuple[str, str]:
        try:
            self._case.read(self._root)
        except formats.ERRORS as error:
            text = str(error)
            named = any(name in text for name in self._case.names(self._path))
            clear = named and "\n" not in text and len(text) <= _LONGEST
            return ("clear" if clear else "unnamed"), text[:300]
        except BaseException as error:
            return "raw", f"{type(error).__name__}: {error}"[:300]
        return "read", ""


def cpu_seconds(pid: int) -> float:
    """Seconds of a processor that a process (0: none) and those it started have used."""
    ticks = 0
    for process in _family(pid) if pid else ():
        try:
            stat = pathlib.Path(f"/proc/{process}/stat").read_text()
        except OSError:
            continue  # it has just ended
        # Behind the name, which may hold anything: user, system, and both of ended children.
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """A process and those that it started."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *map(int, children)]


def _reset_peak() -> None:
    for process in _family(os.getpid()):
        try:
            pathlib.Path(f"/proc/{process}/clear_refs").write_text("5")
        except OSError:
            continue  # it has just ended


def _resident(key: str) -> int:
    """Bytes in memory, now (VmRSS) or at their peak (VmHWM), of the process and its children."""
    total = 0
    for process in _family(os.getpid()):
        try:
            status = pathlib.Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        total += next(
            (int(line.split()[1]) << 10 for line in status.splitlines() if key in line), 0
        )
    return total


if __name__ == "__main__":
    main()
