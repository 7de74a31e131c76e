"""Mutates all formats and prints what became of the files.

    python -m tests.robustness [--mutations 5000] [--first 0] [FORMAT ...]

Exit code 1 where any of the last five columns is not zero; these files are told by number.
"""

import argparse
import collections
import sys
import time

from tests.robustness import formats, harness


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="by default all")
    parser.add_argument("--mutations", type=int, default=5000, help="of each format")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    given = parser.parse_args()
    unknown = set(given.formats) - formats.FORMATS.keys()
    if unknown:
        parser.error(f"{', '.join(unknown)}: none of {', '.join(formats.FORMATS)}")
    total: collections.Counter[str] = collections.Counter()
    wide = max(map(len, formats.FORMATS))
    print(f"| {'format':<{wide}} | files |", *(f"{o} |" for o in harness.OUTCOMES), "seconds |")
    print(f"|{'-' * (wide + 2)}|------:|" + "---:|" * (len(harness.OUTCOMES) + 1))
    wrong = 0
    with harness.Readers() as readers:
        for name in given.formats or formats.FORMATS:
            start = time.monotonic()
            findings = readers.run(name, range(given.first, given.first + given.mutations))
            found = harness.counts(findings)
            total += found
            row = " ".join(f"{found[outcome]} |" for outcome in harness.OUTCOMES)
            took = time.monotonic() - start
            print(f"| {name:<{wide}} | {len(findings)} | {row} {took:.0f} |", flush=True)
            bad = [finding for finding in findings if finding.outcome in harness.WRONG]
            wrong += len(bad)
            for finding in bad[:20]:
                told = f"{name} {finding.number}: {finding.outcome}: {finding.text}"
                print(f"  {told}", file=sys.stderr, flush=True)
    row = " ".join(f"{total[outcome]} |" for outcome in harness.OUTCOMES)
    print(f"| {'all':<{wide}} | {sum(total.values())} | {row} |")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
