"""Both generators count the same: a figure of theirs may be trusted, whichever a machine has."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from benchmarks import generators
from benchmarks.load import TOKEN, Load, chain, form, request

GENERATORS = ["own", "wrk"] if generators.WRK else ["own"]


class Server:
    """Answers every connection, and remembers the refresh tokens that it was shown."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.seen: list[str] = []
        self.asked = 0

    async def answer(self, stream: SocketStream) -> None:
        """Answer until the other side hangs up."""
        receive = BufferedByteReceiveStream(stream)
        async with stream:
            while True:
                try:
                    head = await receive.receive_until(b"\r\n\r\n", 65_536)
                    length = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
                    body = await receive.receive_exactly(int(length[0][15:])) if length else b""
                    await stream.send(self._answer(body.decode()))
                except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                    return

    def _answer(self, body: str) -> bytes:
        self.asked += 1
        told = {}
        if token := parse_qs(body).get("refresh_token"):
            self.seen += token
            told["refresh_token"] = token[0] + "x"
        content = json.dumps(told).encode()
        return b"HTTP/1.1 %d So\r\nContent-Length: %d\r\n\r\n%s" % (self.status, len(content), content)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.answer)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("generator", GENERATORS)
async def test_what_was_answered_is_counted(generator: str) -> None:
    server = Server()
    async with serving(server) as port:
        seen = await generators.run(Load((request("GET", "/"),)), port, 1, own=generator == "own")

    assert seen.failed == 0
    assert 0 < seen.requests <= server.asked
    assert 0 < seen.p50 <= seen.p99


@pytest.mark.parametrize("generator", GENERATORS)
async def test_a_quick_refusal_is_no_result(generator: str) -> None:
    async with serving(Server(status=401)) as port:
        seen = await generators.run(Load((request("GET", "/"),)), port, 1, own=generator == "own")

    assert seen.failed == seen.requests > 0
    assert seen.rate == 0


@pytest.mark.parametrize("generator", GENERATORS)
async def test_each_answer_gives_the_refresh_token_that_is_presented_next(generator: str) -> None:
    server = Server()
    template = form("/token", {"refresh_token": TOKEN})
    async with serving(server) as port:
        seen = await generators.run(
            chain(template, [f"family{n}-" for n in range(32)]), port, 1, own=generator == "own"
        )

    assert seen.failed == 0
    assert len(set(server.seen)) == len(server.seen)
    assert max(map(len, server.seen)) > len("family00-") + 1


@pytest.mark.parametrize("generator", GENERATORS)
async def test_what_is_good_once_is_sent_once_and_the_round_ends_with_it(generator: str) -> None:
    server = Server()
    sent = tuple(form("/token", {"refresh_token": f"code{n}"}) for n in range(200))
    async with serving(server) as port:
        seen = await generators.run(Load(sent, "once"), port, 5, own=generator == "own")

    # wrk tries its script out before it begins, and leaves what is under way when the last is gone.
    assert len(set(server.seen)) >= 199
    assert seen.seconds < 4
