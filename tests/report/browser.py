"""A Chromium driven through the two pipes of its DevTools protocol, by the standard library alone.

With `--remote-debugging-pipe` the browser reads commands from its file descriptor 3 and writes
answers and events to 4, each a JSON text that a zero byte ends.
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser's descriptors must be 3 and 4, which Python's own children can't choose.
_START = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""


def find() -> str | None:
    """The browser that GEOSEG_JAX_CHROMIUM names, or one on the path; None where there is none."""
    named = os.environ.get("GEOSEG_JAX_CHROMIUM")
    if named:
        return shutil.which(named)
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One page in one browser; `errors` collects what it complains of, `requests` what it asks for.

    Args:
      path: the browser's executable.
      limit: seconds that any single answer may take.
    """

    def __init__(self, path: str, limit: float = 60.0):
        self.limit, self.errors, self.requests, self._events = limit, [], [], []
        self._last, self._buffer, self._session = 0, b"", None
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = (_high(end) for end in os.pipe())
        self._in, theirs_out = (_high(end) for end in os.pipe())
        command = [sys.executable, "-c", _START, str(theirs_in), str(theirs_out), path]
        self._process = subprocess.Popen(
            [*command, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and what it started, and removes its profile."""
        for end in (self._out, self._in):
            os.close(end)
        try:
            self._process.wait(10)  # it ends by itself when nobody speaks to it
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._profile.cleanup()

    def open(self, file: pathlib.Path, width: int = 1280, height: int = 900) -> None:
        """Opens a file in a window of that size (CSS pixels) and waits until it's loaded."""
        self.resize(width, height)
        self.errors.clear()
        self.requests.clear()
        self._events.clear()
        self.send("Page.navigate", url=file.as_uri())
        self._wait_for("Page.loadEventFired")

    def resize(self, width: int, height: int = 900) -> None:
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.settle()

    def settle(self) -> None:
        """Waits for two frames: what was asked for is drawn, and its events have been heard."""
        frame = "await new Promise((r) => requestAnimationFrame(r));"
        self.run(f"(async () => {{ {frame} {frame} }})()")

    def prefer(self, scheme: str, media: str = "") -> None:
        """The reader's system is 'light' or 'dark'; media 'print': what a printer would get."""
        feature = dict(name="prefers-color-scheme", value=scheme)
        self.send("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.settle()

    def run(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression, awaited where it's a promise.

        Raises:
          RuntimeError: what the expression threw.
        """
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(_thrown(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Keys by their names in DOM events: 'Tab', 'ArrowLeft', ' ', 'Enter', 'Escape'."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        for key in keys:
            event = dict(key=key, code="Space" if key == " " else key)
            event["windowsVirtualKeyCode"] = codes[key]
            text = {"Enter": "\r", " ": " "}.get(key)
            down = dict(type="keyDown", text=text) if text else dict(type="rawKeyDown")
            self.send("Input.dispatchKeyEvent", **down, **event)
            self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def point(self, x: float, y: float, click: bool = False) -> None:
        """Moves the mouse to a place of the window, and clicks there."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            once = dict(x=x, y=y, button="left", clickCount=1)
            self.send("Input.dispatchMouseEvent", type="mousePressed", **once)
            self.send("Input.dispatchMouseEvent", type="mouseReleased", **once)

    def tap(self, x: float, y: float) -> None:
        """A finger that touches there and is lifted without a move."""
        self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def place(self, expression: str) -> tuple[float, float]:
        """The middle of the element that the expression names, scrolled into sight."""
        self.run(f"{expression}.scrollIntoView({{block: 'center'}})")
        self.settle()
        x, y = self.run(
            f"(() => {{ const b = {expression}.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def click(self, expression: str) -> None:
        """Clicks with the mouse on the element that the expression names."""
        self.point(*self.place(expression), click=True)

    def screenshot(self, file: pathlib.Path, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(answer["data"]))

    def send(self, method: str, **parameters: Any) -> dict:
        """One command and its answer.

        Raises:
          RuntimeError: the browser refused it.
          TimeoutError: no answer within the limit.
        """
        self._last += 1
        message = dict(id=self._last, method=method, params=parameters)
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(method)
            if answer.get("id") == self._last:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _wait_for(self, event: str) -> None:
        while event not in self._events:
            self._read(event)

    def _read(self, awaited: str) -> dict:
        end = time.monotonic() + self.limit
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"{awaited}: no answer from the browser in {self.limit} s")
            read = os.read(self._in, 1 << 16)
            if not read:
                raise RuntimeError(f"{awaited}: the browser has ended")
            self._buffer += read
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, given: dict) -> None:
        self._events.append(event)
        if event == "Runtime.exceptionThrown":
            self.errors.append(_thrown(given["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and given["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.errors.append(" ".join(str(arg.get("value")) for arg in given["args"]))
        elif event == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.errors.append(given["entry"]["text"])
        elif event == "Network.requestWillBeSent" and not given["request"]["url"].startswith(
            "data:"
        ):
            self.requests.append(given["request"]["url"])


def _high(descriptor: int) -> int:
    """The same file under a number that the browser's 3 and 4 can't overwrite."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


def _thrown(details: dict) -> str:
    return details.get("exception", {}).get("description") or details["text"]
