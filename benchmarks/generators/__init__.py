"""The load generator: wrk where the machine has it, else our own; both read the same file and say the same things."""

import shutil
import sys
import tempfile
from pathlib import Path

import anyio

from benchmarks.load import CONNECTIONS, Load, Sample, sample

HERE = Path(__file__).parent
WRK = shutil.which("wrk")


def name(*, own: bool = False) -> str:
    """Return which generator will be used."""
    return "the harness's own asyncio generator" if own or WRK is None else "wrk (one thread)"


async def run(load: Load, port: int, seconds: float, *, own: bool = False) -> Sample:
    """Send `load` to a local port for some seconds."""
    with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
        path = Path(folder) / "load"
        load.write(path)
        facts = [str(path), load.mode, str(load.status)]
        if own or WRK is None:
            command = [sys.executable, str(HERE / "asyncio_generator.py"), str(port), str(seconds), *facts]
        else:
            command = [
                *(WRK, "--threads", "1", "--connections", str(CONNECTIONS), "--timeout", "10s"),
                *("--duration", f"{max(1, round(seconds))}s", "--script", str(HERE / "wrk.lua")),
                *(f"http://127.0.0.1:{port}/", "--", *facts),
            ]
        done = await anyio.run_process(command)
    # wrk prints a report of its own around the line that the script writes.
    line = next(line for line in done.stdout.decode().splitlines() if line.startswith('{"requests"'))
    return sample(line)
