"""Two networks as they were before they joined, keyed as the real ones are, with a login of their own."""

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Person:
    """Somebody with one account on one network."""

    account: str
    """The handle there."""
    email: str
    listed: bool = True
    """Whether the network's list has the address."""


@dataclass
class Network:
    """Accounts by handle, without regard to case; who signed in through the cooperative is known by an identity."""

    people: list[Person]
    emails: dict[str, str] = field(init=False)
    handles: dict[str, str] = field(init=False)
    identities: dict[str, str] = field(default_factory=dict)
    admin: tuple[str, str] = ("admin", "a password of the network's own")

    def __post_init__(self) -> None:
        """Begin with the accounts that exist."""
        self.handles = {person.account.lower(): person.account for person in self.people}
        self.emails = {person.email: person.account for person in self.people}

    @property
    def listing(self) -> bytes:
        """Return the accounts as the admin exports them."""
        rows = [
            f"{number},{person.account},{person.email if person.listed else ''}"
            for number, person in enumerate(self.people)
        ]
        return "\n".join(["id,username,email", *rows]).encode()

    def identity(self, claims: dict[str, Any]) -> str:
        """Return by what this software knows again who signed in."""
        raise NotImplementedError

    def log_in(self, claims: dict[str, Any]) -> str:
        """Return the account that signs in, made anew if the software finds none."""
        identity = self.identity(claims)
        if identity not in self.identities:
            found = self.emails.get(claims.get("email", "")) if claims.get("email_verified") else None
            self.identities[identity] = found or self._make(claims)
        return self.identities[identity]

    def log_in_locally(self, name: str, password: str) -> bool:
        """Let the administrator in without the cooperative."""
        return (name, password) == self.admin

    def _make(self, claims: dict[str, Any]) -> str:
        wished = re.sub(r"[^a-z0-9_.-]", "_", claims["preferred_username"], flags=re.IGNORECASE)
        name, number = wished, 0
        while name.lower() in self.handles:
            number += 1
            name = f"{wished}_{number}"
        self.handles[name.lower()] = name
        return name


class Mastodonish(Network):
    """The uid is `preferred_username`; reattaches by e-mail while ALLOW_UNSAFE_AUTH_PROVIDER_REATTACH is set."""

    def identity(self, claims: dict[str, Any]) -> str:
        """Return the uid (OIDC_UID_FIELD)."""
        return str(claims["preferred_username"])


class Discoursish(Network):
    """The uid is the subject; an account with the same verified e-mail address is taken up."""

    def identity(self, claims: dict[str, Any]) -> str:
        """Return the uid."""
        return str(claims["sub"])
