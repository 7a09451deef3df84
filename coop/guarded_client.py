"""The connections of the guarded client (`coop.fetching`): to checked addresses only, little read, little time given."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from coop import fetching
from coop.fetching import Answer, TargetRefused, Unreachable, reachable

CONNECT_SECONDS = 4.0
LOOK_UPS = 128
"""Names that are looked up at once. The system's resolver blocks a thread for as long as a name server likes to be silent, so it
gets threads of its own: in the common pool a handful of such names would stop everything else."""


class GuardedClient:
    """Calls addresses that others chose."""

    def __init__(self, *, private_targets: bool):
        """Open nothing yet; made inside the event loop that uses it."""
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_GuardedResolver(self._threads, private_targets=private_targets),
                socket_factory=partial(_guarded_socket, private_targets=private_targets),
                use_dns_cache=False,
                limit=0,
                # An answer of which we read only the head leaves a connection that nobody can use again.
                force_close=True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=fetching.TOTAL_SECONDS, sock_connect=CONNECT_SECONDS),
            headers={"User-Agent": "coop (webhooks)", "Accept-Encoding": "identity"},
            # No proxy from the environment, and no bomb unpacked.
            trust_env=False,
            auto_decompress=False,
        )

    async def send(
        self, method: str, url: str, *, body: bytes, headers: Mapping[str, str], most: int
    ) -> Answer:
        """Call a `url` that was checked, once, and return its status and up to `most` bytes."""
        try:
            async with self._session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                read = await _read(response, most) if most else b""
                return Answer(response.status, read, response.headers.get("Location", ""))
        except TargetRefused:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The kind of fault is enough for the log; the other side's words are not ours to keep.
            raise Unreachable(f"The other side could not be reached ({type(error).__name__}).") from error

    async def close(self) -> None:
        """Let go of every connection."""
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > most:
            raise Unreachable("The other side answered with more than was asked for.")
    return bytes(chunks)


class _GuardedResolver(AbstractResolver):
    """Resolves a name and refuses it if any of its addresses is private; the connection then uses just these."""

    def __init__(self, threads: ThreadPoolExecutor, *, private_targets: bool):
        self._threads = threads
        self._private_targets = private_targets

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses of `host`."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        results: list[ResolveResult] = []
        for found_family, _, protocol, _, address in found:
            literal = str(address[0])
            if not reachable(ipaddress.ip_address(literal), private_targets=self._private_targets):
                raise TargetRefused
            results.append(
                ResolveResult(
                    hostname=host,
                    host=literal,
                    port=port,
                    family=found_family,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        """Hold nothing that would need closing."""


def _guarded_socket(found: tuple[Any, ...], *, private_targets: bool) -> socket.socket:
    """Make the socket for one address; the last look, in case two parsers ever read one URL differently."""
    family, kind, protocol, _, address = found
    if not reachable(ipaddress.ip_address(str(address[0])), private_targets=private_targets):
        raise PermissionError
    return socket.socket(family, kind, protocol)
