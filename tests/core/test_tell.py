"""What is said must not end what is done."""

import os
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


def test_a_terminal_that_knows_few_letters_ends_nothing():
    program = "from geoseg_jax.core.tell import tell, tell_error; tell('a…é'); tell_error('ü')"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == (b"a??\n", b"\\xfc\n")


def test_what_is_printed_never_gets_into_a_file(tmp_path):
    """Where standard output was closed before the program began, as by `>&-`."""
    program = (
        "import os; from geoseg_jax.core.tell import open_streams, tell\n"
        "open_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "tell('said'); os.write(1, b'by a library'); os.write(2, b'by another')\n"
    )
    command = ["bash", "-c", 'exec "$0" -c "$1" >&- 2>&- <&-', sys.executable, program]
    subprocess.run(command, check=True)
    assert (tmp_path / "file").read_text() == ""
