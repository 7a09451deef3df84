"""The guarded client: the only way in which this service calls an address that somebody else chose.

Webhooks, keys and logout addresses of clients are written by outsiders, who might point them at our own database, at a cloud's
metadata service, or at a tar-pit. A name is resolved once, every address is checked, and the connection goes to
just those; redirects are not followed, little is read, and little time is given.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from coop.errors import Invalid, Unavailable
from coop.settings import Settings

CONNECT_SECONDS = 4.0
TOTAL_SECONDS = 10.0
LONGEST_URL = 500
LOOK_UPS = 128
"""Names that are looked up at once. The system's resolver blocks a thread for as long as a name server likes to be silent, so it
gets threads of its own: in the common pool a handful of such names would stop everything else."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What Python 3.11 calls global, or what carries a hidden IPv4 address that we would have to trust.
_REFUSED = tuple(
    ipaddress.ip_network(block)
    for block in (
        "::/8",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "64:ff9b:1::/48",
        "fec0::/10",
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadTarget(Invalid):
    """Write a complete https address, without a user name and without a fragment."""

    code = "bad_target"


class TargetRefused(Invalid):
    """That address leads into a private network, where this service does not call."""

    code = "target_refused"


class Unreachable(Unavailable):
    """The other side did not answer in time, or not in a way that could be understood."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said; `body` is empty unless it was asked for."""

    status: int
    body: bytes = b""
    location: str = ""
    """Where a redirect would lead; it is never followed."""


def check_url(url: str, settings: Settings, *, field: str = "url") -> str:
    """Return `url` if it may be called at all; where its name leads is checked at each call, since that changes."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget(field=field) from error
    visible = url.isascii() and all(0x20 < ord(c) < 0x7F and c != "\\" for c in url)  # noqa: PLR2004 - no spaces, no controls
    if not visible or len(url) > LONGEST_URL or not parts.hostname or port == 0:
        raise BadTarget(field=field)
    # http is for a receiver on the developer's own machine.
    if parts.scheme not in ({"https", "http"} if settings.private_targets else {"https"}):
        raise BadTarget(field=field)
    if "#" in url or parts.username is not None or parts.password is not None:
        raise BadTarget(field=field)
    literal = _literal(parts.hostname)
    if literal is not None and not reachable(literal, private_targets=settings.private_targets):
        raise TargetRefused(field=field)
    return url


def reachable(address: Address, *, private_targets: bool) -> bool:
    """Tell whether `address` may be called: public unicast only, also when it is written as IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return reachable(address.ipv4_mapped, private_targets=private_targets)
        if address in _NAT64:
            return reachable(ipaddress.IPv4Address(address.packed[-4:]), private_targets=private_targets)
    # Nobody develops on link-local addresses, and clouds keep their credentials there.
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if private_targets:
        return True
    return address.is_global and not any(
        address in block for block in _REFUSED if block.version == address.version
    )


class Fetcher:
    """The client itself; it opens nothing before it is first used, and is closed after."""

    def __init__(self, settings: Settings):
        """Take from `settings` whether private addresses may be called."""
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        most: int = 0,
    ) -> Answer:
        """Call `url` once and return its status and up to `most` bytes; a longer answer is refused."""
        check_url(url, self._settings)
        try:
            async with self._open().request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                read = await _read(response, most) if most else b""
                return Answer(response.status, read, response.headers.get("Location", ""))
        except TargetRefused:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The kind of fault is enough for the log; the other side's words are not ours to keep.
            raise Unreachable(f"The other side could not be reached ({type(error).__name__}).") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ending: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of every connection; the client may be used again."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            private_targets = self._settings.private_targets
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
                timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS),
                headers={"User-Agent": "coop (webhooks)", "Accept-Encoding": "identity"},
                # No proxy from the environment, and no bomb unpacked.
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


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


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
