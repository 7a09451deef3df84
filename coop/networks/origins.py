"""Web origins: where a network lives, in one canonical spelling, so that no two networks can share one."""

import ipaddress
import re
from urllib.parse import urlsplit

from coop.errors import Invalid
from coop.settings import Settings

LONGEST = 255
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class BadOrigin(Invalid):
    """Write the network's address as an origin, like https://social.example."""

    code = "bad_origin"


def canonical(origin: str, settings: Settings) -> str:
    """Return `origin` in lower case, without a default port or a final slash; refuse all that is no origin.

    Plain http and addresses that only this machine can reach are for a demo and for development.
    """
    if len(origin) > LONGEST or not origin.isascii() or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in origin):  # noqa: PLR2004 - space and controls
        raise BadOrigin(field="origin")
    try:
        parts = urlsplit(origin.lower())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadOrigin(field="origin") from error
    if host is None or parts.path not in {"", "/"} or set("@?#\\") & set(origin) or port == 0:
        raise BadOrigin(field="origin")
    inward = _is_loopback(host)
    if inward and not (settings.private_targets or settings.demo):
        raise BadOrigin(
            "That address only exists on one machine; a network needs a public one.", field="origin"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and inward):
        raise BadOrigin(
            "A network must use https; plain http is for a demo on a loopback address only.", field="origin"
        )
    if not inward and not _is_domain(host):
        raise BadOrigin(field="origin")
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + (
        "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    )


def host_of(origin: str) -> str:
    """Return the host, with its port if it has one, of a canonical origin."""
    return urlsplit(origin).netloc


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_domain(host: str) -> bool:
    labels = host.split(".")
    # A last label of digits would be read as an address (127.1, 0x7f.1) by some software and as a name by other.
    return len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels) and labels[-1][0].isalpha()
