"""Loads: what is sent to a server over kept-alive connections, and what came of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

CONNECTIONS = 16
"""Kept alive for the whole round, each with one request under way; as in shared measurements of other servers."""

FORM = "application/x-www-form-urlencoded"
TOKEN, LENGTH = "@TOKEN@", "@LENGTH@"

Mode = Literal["cycle", "once", "chain"]


@dataclass(frozen=True, slots=True)
class Load:
    """Whole HTTP/1.1 requests, ready to be written to a socket.

    `cycle` sends them in turn, over and over; `once` sends each a single time and stops when none is left; `chain` is
    for refresh tokens: the first is a template, the others are tokens, and each answer gives the token to send next.
    """

    requests: tuple[bytes, ...]
    mode: Mode = "cycle"
    status: int = 200
    """What every answer must be; a quick refusal is no result."""

    def write(self, path: Path) -> None:
        """Write the requests for a generator, each behind its length."""
        with path.open("wb") as file:
            for request in self.requests:
                file.write(b"%d\n" % len(request) + request)


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contender."""

    requests: int
    seconds: float
    p50: float
    """Milliseconds, as p99."""
    p99: float
    failed: int = 0
    """Answers of another status than the load wants, and broken connections."""
    server_cpu: float = 0.0
    """Seconds of processor time of all the server's processes."""
    database_cpu: float = 0.0
    memory: float = 0.0
    """Resident megabytes of the largest server process."""

    @property
    def rate(self) -> float:
        """Requests per second that were answered as they should."""
        return max(0, self.requests - self.failed) / self.seconds if self.seconds else 0.0


def request(method: str, target: str, headers: Mapping[str, str] | None = None, body: str = "") -> bytes:
    """Return one request; the length of a body is filled in."""
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        lines["Content-Length"] = LENGTH if TOKEN in body else str(len(body.encode()))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n{body}".encode()


def form(target: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> bytes:
    """Return the request that sends a form."""
    return request("POST", target, {"Content-Type": FORM, **(headers or {})}, urlencode(fields, safe="@"))


def chain(template: bytes, tokens: Sequence[str]) -> Load:
    """Return a load in which every answer's refresh token is presented next."""
    return Load((template, *(token.encode() for token in tokens)), "chain")


def sample(told: str) -> Sample:
    """Read what a generator says about its round."""
    found = json.loads(told)
    return Sample(
        requests=int(found["requests"]),
        seconds=found["microseconds"] / 1e6,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        failed=int(found["failed"]),
    )
