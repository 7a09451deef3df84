"""Our own load generator, where there is no wrk: raw streams, one task for each connection, in a process of its own.

It knows just enough HTTP for the answers of the servers that are measured here: a status, a length or chunks.
"""

import asyncio
import json
import re
import sys
import time
from collections import deque
from pathlib import Path

import uvloop

CONNECTIONS = 16
_REFRESH_TOKEN = re.compile(rb'"refresh_token"\s*:\s*"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Round:
    """One round: what is still to be sent, and what was seen."""

    def __init__(self, path: Path, mode: str, status: int, seconds: float):
        self.mode, self.status = mode, status
        self.requests = _read(path)
        self.template = self.requests.pop(0) if mode == "chain" else b""
        self.waiting = deque(self.requests)
        self.latencies: list[int] = []
        # From now on: to read thousands of requests takes a while.
        self.deadline = time.perf_counter() + seconds
        self.failed = 0

    def next(self) -> bytes | None:
        """Return what to send now, or nothing when the round is over."""
        if time.perf_counter() >= self.deadline or not self.waiting:
            return None
        taken = self.waiting.popleft()
        if self.mode == "cycle":
            self.waiting.append(taken)
        if self.mode != "chain":
            return taken
        head, _, body = self.template.partition(b"\r\n\r\n")
        body = body.replace(b"@TOKEN@", taken)
        return head.replace(b"@LENGTH@", b"%d" % len(body)) + b"\r\n\r\n" + body

    def answered(self, status: int, body: bytes, nanoseconds: int) -> None:
        """Note one answer."""
        self.latencies.append(nanoseconds)
        if status != self.status:
            self.failed += 1
        elif self.mode == "chain" and (found := _REFRESH_TOKEN.search(body)):
            self.waiting.append(found[1].decode().encode())


def _read(path: Path) -> list[bytes]:
    requests = []
    with path.open("rb") as file:
        while line := file.readline():
            requests.append(file.read(int(line)))
    return requests


async def _connection(port: int, round_: Round) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while (sent := round_.next()) is not None:
            began = time.perf_counter_ns()
            writer.write(sent)
            status, body = await _answer(reader, round_.status)
            round_.answered(status, body, time.perf_counter_ns() - began)
    except (OSError, EOFError):
        round_.failed += 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, wanted: int) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    if length := _LENGTH.search(head):
        return status, await reader.readexactly(int(length[1]))
    body = b""
    if _CHUNKED.search(head):
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif status == wanted and status not in {204, 304}:
        raise EOFError
    return status, body


async def _run(port: int, round_: Round) -> None:
    began = time.perf_counter_ns()
    await asyncio.gather(*(_connection(port, round_) for _ in range(CONNECTIONS)))
    took = time.perf_counter_ns() - began
    seen = sorted(round_.latencies) or [0]
    told = {
        "requests": len(round_.latencies),
        "microseconds": took / 1000,
        "p50": seen[len(seen) // 2] / 1000,
        "p99": seen[min(len(seen) - 1, len(seen) * 99 // 100)] / 1000,
        "failed": round_.failed,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    port, seconds, path, mode, status = sys.argv[1:]
    uvloop.run(_run(int(port), Round(Path(path), mode, int(status), float(seconds))))
