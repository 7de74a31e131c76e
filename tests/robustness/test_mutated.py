"""What becomes of mutated and hostile files: read, or refused in one line that names the file.

Of each format 100 mutations here; `python -m tests.robustness` makes 5,000, and prints the table of
docs/robustness.md.
"""

import os
import sys
import time

import pytest

from tests.robustness import formats, harness, hostile
from tests.robustness.mutate import mutate

MUTATIONS = 60
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="how much memory a file takes is asked of /proc"
)


@pytest.fixture(scope="module")
def readers():
    with harness.Readers() as readers:
        yield readers


def told(findings) -> list[str]:
    return [f"{f.number} {f.outcome}: {f.text}" for f in findings]


@pytest.mark.parametrize("name", formats.FORMATS)
def test_mutated_files_are_read_or_refused_in_one_line(readers, name):
    findings = readers.run(name, range(MUTATIONS))
    assert [finding.number for finding in findings] == list(range(MUTATIONS))
    assert told(f for f in findings if f.outcome in harness.WRONG) == []
    # Something of what is tried must hurt, and something of it not.
    assert 0 < harness.counts(findings)["read"] < MUTATIONS


@pytest.mark.parametrize("name", hostile.FILES)
def test_files_made_by_hand_are_refused_in_one_line(readers, name):
    made = list(hostile.FILES[name])
    findings = readers.run(name, range(len(made)))
    assert {made[f.number]: f.outcome for f in findings} == dict.fromkeys(made, "clear"), "\n".join(
        told(f for f in findings if f.outcome != "clear")
    )


def test_a_mutation_is_a_function_of_its_number():
    content = bytes(range(256)) * 3 + b"\n1.5 2 text\n"
    every = [mutate(content, number) for number in range(300)]
    assert every == [mutate(content, number) for number in range(300)]
    assert len(set(every)) > 280
    assert sum(changed != content for changed in every) > 280
    for number in range(50):
        mutate(b"", number)


def busy(root) -> None:
    end = time.process_time() + 1.5 * harness.SECONDS
    while time.process_time() < end:
        pass


FAULTS = {
    "crash": lambda root: os.abort(),
    "raw": lambda root: {}["key"],
    "hang": busy,
    "memory": lambda root: bytearray(300 << 20).replace(b"\0", b"\1", 1),
    "unnamed": lambda root: (_ for _ in ()).throw(formats.DataError("something is wrong")),
}


@pytest.mark.parametrize("outcome", FAULTS)
def test_the_harness_notices(outcome):
    """A reader with a fault of each kind, in a process of this test's own."""
    code = (
        "import itertools, os, pathlib\n"
        "from tests.robustness import formats, harness, test_mutated\n"
        "calls = itertools.count()\n"
        f"fault = test_mutated.FAULTS[{outcome!r}]\n"
        "read = lambda root: fault(root) if next(calls) else None\n"  # the good file is read
        "def make(root):\n    (root / 'x').write_text('1 2 3')\n    return root / 'x'\n"
        "formats.FORMATS['faulty'] = formats.Format(make, read)\n"
        "harness.main()\n"
    )
    count = 2 if outcome == "crash" else 1  # it goes on with the next file in another process
    with harness.Readers(["-c", code]) as readers:
        findings = readers.run("faulty", range(count))
    assert [finding.outcome for finding in findings] == [outcome] * count
