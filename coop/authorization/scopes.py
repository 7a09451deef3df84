"""Scopes: what a client may ask to be told, and what it may do in its own name."""

from collections.abc import Iterable

OPENID = "openid"
OFFLINE = "offline_access"
EMAIL = "email"
PROFILE = "profile"

OF_PEOPLE = (OPENID, PROFILE, EMAIL, "groups", "membership", OFFLINE)
"""What a person can grant. Membership and groups come with every sign-in; their scopes are for software that asks."""

ENTITLEMENTS = "entitlements"
NETWORKS = "networks"

OF_SERVICES = (ENTITLEMENTS, NETWORKS)
"""What a client may do in its own name, by client credentials."""

CLAIMS = {PROFILE: ("preferred_username", "name"), EMAIL: ("email", "email_verified")}
"""The claims of a person that a scope opens; all others come with every sign-in."""

KNOWN = (*OF_PEOPLE, *OF_SERVICES)
OPEN = (*OF_PEOPLE, ENTITLEMENTS)
"""What any client may be registered for; the rest is entrusted to one by a steward's command."""

DEFAULT = " ".join(OPEN)


def words(text: str | None) -> tuple[str, ...]:
    """Return the scopes of a space-separated list, each once, in the order in which they were named."""
    return tuple(dict.fromkeys(word for word in (text or "").split(" ") if word))


def claims_of(words: Iterable[str]) -> frozenset[str]:
    """Return the claims of a person that `words` open: scopes, or single claims by their names."""
    known = {claim for claims in CLAIMS.values() for claim in claims}
    return frozenset(claim for word in words for claim in CLAIMS.get(word, (word,))) & known


def joined(scopes: Iterable[str]) -> str:
    """Return the space-separated list that travels and is stored."""
    return " ".join(s for s in scopes if s)
