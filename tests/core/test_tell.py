"""What is said must not end what is done."""

import subprocess
import sys

PROGRAM = """
import sys, time
from geoseg_jax.core.tell import tell
tell("first")
sys.stdin.readline()
for _ in range(3):
    tell("nobody reads this")
print("nor this")
sys.exit(7)
"""


def test_a_closed_pipe_ends_nothing():
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"first\n"
    child.stdout.close()
    child.stdin.write(b"\n")
    child.stdin.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() == 7
