"""Processes: starting servers, and reading from /proc what they cost. Linux only, as the machines that serve are."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
PATIENCE = 60
_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (facts := _facts(int(folder.name))):
            parents.setdefault(int(facts[1]), []).append(int(folder.name))
    found, ahead = [], [pid]
    while ahead:
        found.append(ahead.pop())
        ahead += parents.get(found[-1], [])
    return found


def parent(pid: int) -> int:
    """Return the process that started this one."""
    return int(_facts(pid)[1])


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants, with those that have ended."""
    return sum(sum(map(int, facts[11:15])) for each in tree(pid) if (facts := _facts(each))) / _TICKS


def largest_memory(pid: int) -> float:
    """Return the resident megabytes of the largest process of a tree."""
    return max(_resident(each) for each in tree(pid)) / 1024


def _facts(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on, or none for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name, in parentheses, may contain anything.
    return text[text.rindex(")") + 2 :].split()


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    environment: Mapping[str, str],
    folder: Path = ROOT,
    ready: str = "/",
) -> Iterator[int]:
    """Run a server until the block ends; yield its process once `ready` answers."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - commands of this tree
            command, cwd=folder, env=dict(environment), stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{ready}")
            yield process.pid
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:].decode(errors="replace"))
            raise
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url, timeout=2)
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer")


def busy_seconds() -> float:
    """Return how long the machine's processors have been busy, all together."""
    user, nice, system, _, _, *interrupts = (
        int(ticks) for ticks in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / _TICKS


def durable_writes(count: int = 100) -> int:
    """Return how many pages a second one writer gets onto the disk: what a COMMIT waits for."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(count):
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fdatasync(file.fileno())
        return round(count / (time.perf_counter() - began))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with `settings` below what the caller has set, so that a run can be varied."""
    return {name: value for name, value in os.environ.items() if name != "COOP_DATA"} | {
        name: value for name, value in settings.items() if name not in os.environ
    }
