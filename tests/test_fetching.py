import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio import create_task_group, create_tcp_listener
from anyio.abc import SocketAttribute, SocketStream

from coop import fetching
from coop.fetching import Fetcher
from coop.guarded_client import GuardedClient
from coop.settings import Settings
from tests.networks.receiver import listening

DEVELOPMENT = Settings(demo=True, private_targets=True)
PRODUCTION = Settings(issuer="https://coop.example")

PRIVATE = """
127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200
192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 fe80::1 fc00::1 fd00:ec2::254 ff02::1 fec0::1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a00:1:: 2001::1 2001:db8::1 ::127.0.0.1 100::1 3fff::1 5f00::1
""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_called_in_any_spelling(address: str) -> None:
    assert not fetching.reachable(ipaddress.ip_address(address), private_targets=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_called(address: str) -> None:
    assert fetching.reachable(ipaddress.ip_address(address), private_targets=False)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0"]
)
def test_not_even_development_calls_link_local_addresses(address: str) -> None:
    assert not fetching.reachable(ipaddress.ip_address(address), private_targets=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://social.example/hooks",
        "ftp://social.example",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user@social.example",
        "https://user:secret@social.example",
        "https://social.example/#x",
        "https://social.example:0/",
        "https://social.example:70000/",
        "https://social.example/\x00",
        "https://social.example\\@127.0.0.1/",
        "https://sociäl.example",
        "https://social.example/" + "a" * 500,
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::1/",
        "https://[::1%25lo]/",
        "https://[::ffff:127.0.0.1%25x]/",
        "https://1.1.1.1&@127.0.0.1/",
        "https://foo?@127.0.0.1/#",
        "https://127.0.0.1:443;x/",
        "https://social.example:443:80/",
        "https://soc\tial.example/",
        "https://127。0。0。1/",
        "https:127.0.0.1/",
    ],
)
def test_addresses_that_nobody_should_give_are_refused(url: str) -> None:
    with pytest.raises((fetching.BadTarget, fetching.TargetRefused)):
        fetching.check_url(url, PRODUCTION)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1", "[::ffff:127.0.0.1]"),
        *("LOCALHOST", "127.0.0.1.", "0", "0x7f.1", "127%2e0%2e0%2e1", "[::7f00:1]"),
    ],
)
async def test_no_name_or_odd_number_that_leads_inward_is_connected_to(host: str) -> None:
    connected: list[object] = []

    async def accept(stream: SocketStream) -> None:
        connected.append(stream)
        await stream.aclose()

    fetcher = Fetcher(PRODUCTION)
    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as group:
        group.start_soon(listener.serve, accept)
        port = listener.extra(SocketAttribute.local_port)
        with pytest.raises((fetching.TargetRefused, fetching.Unreachable)):
            await fetcher.send("POST", f"https://{host}:{port}/")
        group.cancel_scope.cancel()
    await fetcher.close()

    assert connected == []


async def test_an_answer_is_read_up_to_what_was_asked_for() -> None:
    fetcher = Fetcher(DEVELOPMENT)
    async with listening() as receiver:
        receiver.status, receiver.body = 200, b"x" * 100
        assert await fetcher.send("GET", receiver.url, most=100) == fetching.Answer(200, b"x" * 100)
        with pytest.raises(fetching.Unreachable):
            await fetcher.send("GET", receiver.url, most=99)
        assert await fetcher.send("GET", receiver.url) == fetching.Answer(200)
    await fetcher.close()


async def test_nobody_there_is_a_clear_refusal() -> None:
    fetcher = Fetcher(DEVELOPMENT)
    async with listening() as receiver:
        url = receiver.url
    with pytest.raises(fetching.Unreachable):
        await fetcher.send("GET", url)
    await fetcher.close()


async def test_a_name_that_also_leads_inward_is_not_called_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"both.example": ["8.8.8.8", "127.0.0.1"]}
    asked = resolving(monkeypatch, lambda host: answers[host])
    fetcher = Fetcher(PRODUCTION)

    with pytest.raises(fetching.TargetRefused):
        await fetcher.send("POST", "https://both.example/")

    assert asked == ["both.example"]
    await fetcher.close()


async def test_a_name_that_leads_elsewhere_the_next_time_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = ["127.0.0.1", "10.0.0.1"]
    asked = resolving(monkeypatch, lambda _: [answers.pop(0)])
    fetcher = Fetcher(PRODUCTION)

    for _ in range(2):
        with pytest.raises(fetching.TargetRefused):
            await fetcher.send("POST", "https://rebinding.example/")

    assert asked == ["rebinding.example"] * 2
    await fetcher.close()


async def test_even_what_slips_past_every_check_of_the_address_gets_no_socket() -> None:
    client = GuardedClient(private_targets=False)
    async with listening() as receiver:
        with pytest.raises(fetching.Unreachable, match="ClientConnectorError"):
            await client.send("POST", receiver.url, body=b"", headers={}, most=0)

    assert receiver.received == []
    await client.close()


async def test_silent_name_servers_delay_no_other_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def answer(host: str) -> list[str]:
        if host.startswith("silent"):
            released.wait(30)
        return ["127.0.0.1"]

    resolving(monkeypatch, answer)
    fetcher = Fetcher(PRODUCTION)

    async def call(host: str) -> None:
        with pytest.raises(fetching.TargetRefused):
            await fetcher.send("POST", f"https://{host}/")

    async with create_task_group() as group:
        for number in range(64):
            group.start_soon(call, f"silent{number}.example")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await call("quick.example")
        released.set()
    await fetcher.close()


def resolving(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], list[str]]) -> list[str]:
    """Let the system's resolver answer from a script, and return the names that it is asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, *_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer(host)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b""),
        (b"", b"H"),
        (HEAD, b"X-More: and more\r\n"),
        (HEAD, b"X-Long: " + b"x" * 60_000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
        (HEAD + b"Content-Length: 9999999999\r\n\r\n", b"x" * 1024),
        (b"\x00\xff" * 100, b""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b""),
    ],
)
async def test_whatever_the_other_side_does_the_call_ends_soon(
    monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes
) -> None:
    monkeypatch.setattr(fetching, "TOTAL_SECONDS", 0.5)
    fetcher = Fetcher(DEVELOPMENT)

    async def drip(stream: SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await stream.send(first or b"H")
                while True:
                    await anyio.sleep(0.01)
                    if again:
                        await stream.send(again)

    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as group:
        group.start_soon(listener.serve, drip)
        port = listener.extra(SocketAttribute.local_port)
        with anyio.fail_after(5), pytest.raises(fetching.Unreachable):
            await fetcher.send("GET", f"http://127.0.0.1:{port}/", most=1000)
        group.cancel_scope.cancel()
    await fetcher.close()


async def test_nothing_is_unpacked() -> None:
    fetcher = Fetcher(DEVELOPMENT)
    async with listening() as receiver:
        receiver.status, receiver.body = 200, b"\x1f\x8b bomb"
        receiver.headers = {"Content-Encoding": "gzip"}
        answer = await fetcher.send("GET", receiver.url, most=100)
    await fetcher.close()

    assert answer.body == b"\x1f\x8b bomb"
