"""Ends every process of a run soon after one of them has died, with one line.

jax notices after minutes, and then aborts. Here each process holds a connection to the first one.
The system closes it when a process ends, however it ends; whoever leaves in order says so before.
"""

import contextlib
import hmac
import os
import secrets
import socket
import threading
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from geoseg_jax.core.tell import tell, tell_error

_LEFT = b"left"
_PATIENCE = 30.0  # seconds to connect
_TOKEN, _HOST = 16, 256  # bytes


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Watches over the processes of a run while the block lasts; all must enter it.

    One that leaves it by an exception ends the others. Does nothing for a run of one process.
    """
    if jax.process_count() == 1:
        yield
        return
    links = _Links(_accept() if jax.process_index() == 0 else _connect())
    try:
        yield
        links.leave()
    finally:
        links.close()


class _Links:
    """Connections by the number of the process at the other end, each with a thread that reads."""

    def __init__(self, links: dict[int, socket.socket]) -> None:
        self._links, self._left = links, False
        for other, link in links.items():
            threading.Thread(target=self._watch, args=(other, link), daemon=True).start()

    def _watch(self, other: int, link: socket.socket) -> None:
        """Waits for what the other end has to say, which is one word, or nothing when it dies."""
        try:
            said = link.recv(_TOKEN)
        except OSError:
            said = b""
        if said != _LEFT and not self._left:
            self._end(int(said) if said.isdigit() else other)

    def _end(self, dead: int) -> None:
        """Ends this process, and those that only this one can tell."""
        self._left = True
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.send(b"%d" % dead)
        tell_error(
            f"error: process {dead} of {jax.process_count()} has ended, and the others can't go on "
            "without it; the same command goes on from the last checkpoint"
        )
        os._exit(1)

    def leave(self) -> None:
        """Tells the others that this process ends in order."""
        self._left = True
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.send(_LEFT)

    def close(self) -> None:
        """Closes the connections; without `leave` the others end."""
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()


def _accept() -> dict[int, socket.socket]:
    """Tells all others where this process listens, and waits for them."""
    token, links = secrets.token_bytes(_TOKEN), {}
    with socket.create_server(("", 0), backlog=jax.process_count()) as server:
        where = f"{socket.gethostname()} {server.getsockname()[1]}"
        _share(token + where.encode())
        server.settimeout(_PATIENCE)
        with contextlib.suppress(TimeoutError):
            while len(links) < jax.process_count() - 1:
                link, _ = server.accept()
                said = _first_words(link)
                if hmac.compare_digest(said[:_TOKEN], token):  # else it is somebody else
                    links[int.from_bytes(said[_TOKEN:])] = link
    return links


def _first_words(link: socket.socket) -> bytes:
    link.settimeout(_PATIENCE)
    try:
        return link.recv(_TOKEN + 8, socket.MSG_WAITALL)
    except OSError:
        return b""
    finally:
        link.settimeout(None)


def _connect() -> dict[int, socket.socket]:
    """Connects to the first process; without a way to it, says so and goes on."""
    told = _share(b"")
    host, _, port = told[_TOKEN:].decode().partition(" ")
    own = "localhost" if host == socket.gethostname() else host
    for name in (own, os.environ.get("JAX_COORDINATOR_ADDRESS", "").rpartition(":")[0]):
        try:
            link = socket.create_connection((name, int(port)), timeout=_PATIENCE)
        except OSError:
            continue
        link.settimeout(None)
        link.sendall(told[:_TOKEN] + jax.process_index().to_bytes(8))
        return {0: link}
    tell(
        f"process {jax.process_index()}: no connection to {host}:{port}: should another process "
        "die, this one notices after minutes"
    )
    return {}


def _share(message: bytes) -> bytes:
    """Returns what the first process passes, without zeros at its end."""
    padded = np.frombuffer(message.ljust(_TOKEN + _HOST, b"\0"), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes().rstrip(b"\0")
