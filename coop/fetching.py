"""The guarded client: the only way in which this service calls an address that somebody else chose.

Webhooks, keys and logout addresses of clients are written by outsiders, who might point them at our own database, at a cloud's
metadata service, or at a tar-pit. A name is resolved once, every address is checked, and the connection goes to
just those; redirects are not followed, little is read, and little time is given.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from coop.errors import Invalid, Unavailable
from coop.settings import Settings

if TYPE_CHECKING:
    from coop.guarded_client import GuardedClient

TOTAL_SECONDS = 10.0
"""How long a call may take as a whole."""
LONGEST_URL = 500

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
    """The way out; it opens nothing before it is first used, and is closed after."""

    def __init__(self, settings: Settings):
        """Take from `settings` whether private addresses may be called."""
        self._settings = settings
        self._client: GuardedClient | None = None

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
        if self._client is None:
            # Six megabytes, of which a process that is only called itself, and most commands, need nothing.
            from coop.guarded_client import GuardedClient  # noqa: PLC0415

            self._client = GuardedClient(private_targets=self._settings.private_targets)
        return await self._client.send(method, url, body=body, headers=headers or {}, most=most)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ending: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of every connection; the client may be used again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
