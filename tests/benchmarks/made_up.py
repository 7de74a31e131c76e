"""A side of a benchmark that does what its test asks for."""

import os
import time


class Made:
    def __init__(self, start: int):
        if start < 0:
            raise ValueError(f"start is {start}\nand a second line")
        self.count = start

    def step(self) -> int:
        self.count += 1
        return self.count

    def work(self) -> None:
        """Keeps a processor busy for 50 ms of its own time."""
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass

    def fail(self) -> None:
        raise RuntimeError("no such thing")

    def die(self) -> None:
        os._exit(7)
