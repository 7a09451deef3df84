"""The demo as `make run` starts it: a process of its own that tests reach as people and tools do."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from coop import logs
from coop.cli import main

ROOT = Path(__file__).parents[1]
PATIENCE = 300
"""Seconds; two years take half a minute to live through, on a machine that does nothing else."""
READY = "Stop with Ctrl-C"


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the `coop` command of this checkout as people do, and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "coop.cli", *arguments],
        cwd=ROOT,
        env=_kept() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def coop(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the `coop` command in this process, which spares it the second that a start takes.

    Not for commands that log: they would set up the log of the tests, too.
    """
    said, told = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, _kept() | environment, clear=True),
        mock.patch.object(sys, "argv", ["coop", *arguments]),
        mock.patch.object(logs, "configure", side_effect=AssertionError("this command wants a process")),
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(told),
        # In a thread of its own, where no event loop runs: the test may have one, and so does the command.
        ThreadPoolExecutor(1) as thread,
    ):
        code = thread.submit(_ended).result(PATIENCE)
    return subprocess.CompletedProcess(list(arguments), code, said.getvalue(), told.getvalue())


def _ended() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception:  # noqa: BLE001 - what Python itself does with a fault that nobody catches
        traceback.print_exc()
        return 1
    return 0


def _kept() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("COOP_")}


def free_ports() -> int:
    """Return the first of three free ports in a row, below those that the system gives to whoever asks."""
    while True:
        first = random.randrange(10_000, 30_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as bound:
            for port in (first, first + 1, first + 2):
                bound.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


@dataclass
class Demo:
    """One demo: where it lives, where it answers, and its process while it runs."""

    data: Path
    port: int = field(default_factory=free_ports)
    output: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None

    @property
    def issuer(self) -> str:
        """Return where the cooperative answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def networks(self) -> tuple[str, str]:
        """Return where the two sample networks answer."""
        return f"http://127.0.0.1:{self.port + 1}", f"http://127.0.0.1:{self.port + 2}"

    @property
    def manifest_file(self) -> Path:
        """Return where the demo writes what tools need."""
        return self.data.with_name(f"{self.data.name}.json")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return what the demo tells tools; its secrets stay the same from start to start."""
        told: dict[str, Any] = json.loads(self.manifest_file.read_text(encoding="utf-8"))
        return told

    def start(self) -> float:
        """Start it, wait until it says that it is ready, and return how many seconds that took."""
        began = time.monotonic()
        self.output.clear()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "coop.cli", "demo", "--data", str(self.data)),
                *("--port", str(self.port), "--network-port", str(self.port + 1)),
                *("--manifest", str(self.manifest_file)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A session of its own: all that it starts can be counted, and ended, together.
            start_new_session=True,
        )
        ready = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        self.reader.start()
        if not ready.wait(PATIENCE) or not self.manifest_file.exists():
            self.end()
            raise RuntimeError("the demo did not start:\n" + "".join(self.output[-40:]))
        return time.monotonic() - began

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        """Keep what the demo prints: a full pipe would stop it."""
        for line in process.stdout or ():
            self.output.append(line)
            if READY in line:
                ready.set()
        # It has ended, ready or not.
        ready.set()

    def signal(self, number: signal.Signals, *, everyone: bool = False) -> int:
        """Send a signal to the demo, or to all its processes as a terminal does, and return its exit code."""
        assert self.process is not None
        if everyone:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(60)

    def alive(self) -> bool:
        """Say whether the demo, or anything that it started, still runs."""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)
        if self.reader is not None:
            self.reader.join(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def coop(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `coop` command on this demo's data."""
        return coop(*arguments, "--data", str(self.data))

    def books(self) -> dict[str, Any]:
        """Return what `coop books check` says; it fails the test if the books do not hold."""
        checked = self.coop("books", "check", "--json")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        report: dict[str, Any] = json.loads(checked.stdout)
        return report

    def journal(self) -> list[dict[str, Any]]:
        """Return every entry of the journal."""
        exported = self.coop("books", "export", "--format", "json")
        assert exported.returncode == 0, exported.stderr
        return [json.loads(line) for line in exported.stdout.splitlines()]


@contextlib.contextmanager
def running(data: Path) -> Iterator[Demo]:
    """Start a demo on `data`, and leave nothing running."""
    demo = Demo(data)
    try:
        demo.start()
        yield demo
    finally:
        demo.end()


def copy(seed: Path, data: Path) -> Path:
    """Copy the data of a demo that does not run; its settings name the place where it lives."""
    shutil.copytree(seed, data)
    settings = data / "coop.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(str(seed), str(data)), encoding="utf-8")
    return data


def eventually(what: str, holds: Callable[[], bool], within: float = 60) -> None:
    """Wait for something that another process does in its own time."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"within {within:g} s it did not happen that {what}"
        pause.wait(0.1)
