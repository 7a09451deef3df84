"""Another process, which gets ready while the demo starts, runs a script when it is told to, and ends with the demo."""

import contextlib
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

WARM = ("httpx", "joserfc.jwt", "litestar.middleware.session.client_side", "uvicorn")
"""What the sample network is going to import, for a second or so."""


class Companion:
    """The demo's end of one such process."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, __file__], stdin=subprocess.PIPE
        )

    def begin(self, script: str, *arguments: str) -> None:
        """Let it run `script`, as if that had been started by itself."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(json.dumps([script, *arguments]).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Stop it, and wait until it has."""
        self._process.terminate()
        # Also closes the pipe.
        self._process.communicate()


@contextlib.contextmanager
def started(count: int) -> Iterator[list[Companion]]:
    """Give some companions, and leave none of them behind."""
    companions = [Companion() for _ in range(count)]
    try:
        yield companions
    finally:
        for companion in companions:
            companion.end()


def main() -> None:
    """Get ready, and run the script that the line on standard input names with its arguments."""
    # On Ctrl-C a terminal tells every process; the demo decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in WARM:
        importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    threading.Thread(target=follow, daemon=True).start()
    sys.argv = json.loads(line)
    runpy.run_path(sys.argv[0], run_name="__main__")


def follow() -> None:
    """End this process with the demo: it holds the other end of standard input, however it dies."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
