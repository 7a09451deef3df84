"""Redirect URIs: which may be registered, which registered one a request names, and how an answer is added to it."""

import re
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from coop.errors import Invalid
from coop.settings import Settings

MOST = 20
LONGEST = 2000

# RFC 8252, section 7.3: the port of a loopback redirect is chosen when the native application starts.
_LOOPBACK = ("127.0.0.1", "::1")
LOCAL = (*_LOOPBACK, "localhost")
# A browser runs or opens what these name instead of handing it to an application.
_DANGEROUS = frozenset(
    "about blob chrome data file filesystem ftp intent jar javascript mailto resource vbscript view-source "
    "ws wss".split()
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)


class BadRedirectURI(Invalid):
    """A redirect URI is an absolute https address without a fragment, or a native application's own scheme."""

    code = "invalid_redirect_uri"


def acceptable(uri: str, settings: Settings, *, native: bool) -> str:
    """Return `uri` if it may be registered; plain http is for loopback addresses of native applications and demos."""
    parts = _parsed(uri)
    if parts is None or "#" in uri or "@" in parts.netloc or "*" in parts.netloc:
        raise BadRedirectURI
    if parts.scheme == "https" and parts.hostname:
        return uri
    if parts.scheme == "http" and parts.hostname in LOCAL and (native or settings.demo):
        return uri
    # Private-use schemes are reversed domain names (RFC 8252, section 7.1): without a dot anybody might claim them.
    if native and "." in parts.scheme and parts.scheme not in _DANGEROUS and not parts.netloc:
        return uri
    raise BadRedirectURI


def match(registered: list[str], requested: str, *, native: bool) -> bool:
    """Tell whether `requested` is one of the `registered` URIs, character by character (RFC 9700, section 2.1)."""
    if requested in registered:
        return True
    if not native:
        return False
    bare = _without_port(requested)
    return bare is not None and any(bare == _without_port(uri) for uri in registered)


def origin(uri: str) -> str:
    """Return what a content security policy calls the place that `uri` leads to."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def host(uri: str) -> str:
    """Return the host of `uri`; for an application's own scheme, the scheme."""
    parts = urlsplit(uri)
    return parts.hostname or parts.scheme


def with_answer(uri: str, answer: dict[str, str]) -> str:
    """Return `uri` with `answer` added to whatever query it was registered with."""
    base, mark, query = uri.partition("?")
    encoded = urlencode(answer, quote_via=quote)
    return f"{base}?{query}&{encoded}" if mark and query else f"{base}?{encoded}"


def _parsed(uri: str) -> SplitResult | None:
    if len(uri) > LONGEST or not _VISIBLE.fullmatch(uri) or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    # urlsplit writes the scheme in small letters; another spelling would never match exactly again.
    usable = _SCHEME.fullmatch(parts.scheme) and uri.startswith(parts.scheme) and port != 0
    return parts if usable else None


def _without_port(uri: str) -> str | None:
    parts = _parsed(uri)
    if parts is None or parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        return None
    written = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    # Anything else in the authority (user information, odd spellings) must not slip through the comparison.
    if parts.netloc not in {written, f"{written}:{parts.port}"} or "#" in uri:
        return None
    return f"{written}{uri.split(parts.netloc, 1)[1]}"
