"""The `claims` parameter: single claims that a client asks for, beyond its scope (OpenID Connect Core, section 5.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from coop.authorization import scopes


class BadClaims(ValueError):
    """The parameter is not of the form of OpenID Connect Core, section 5.5."""


class Wish(msgspec.Struct, frozen=True):
    """How one claim is asked for: with which values, and whether nothing works without."""

    essential: bool = False
    value: object = msgspec.UNSET
    values: list[object] | msgspec.UnsetType = msgspec.UNSET

    @property
    def accepted(self) -> tuple[object, ...]:
        """The values that would do; none if any would."""
        if self.value is not msgspec.UNSET:
            return (self.value,)
        return () if isinstance(self.values, msgspec.UnsetType) else tuple(self.values)


class _Parameter(msgspec.Struct):
    userinfo: dict[str, Wish | None] | None = None
    id_token: dict[str, Wish | None] | None = None


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """What is wanted at UserInfo and in the ID Token, by the names of the claims; unknown ones do no harm."""

    userinfo: Mapping[str, Wish] = field(default_factory=dict)
    id_token: Mapping[str, Wish] = field(default_factory=dict)

    def of_person(self, allowed: tuple[str, ...]) -> frozenset[str]:
        """Return the claims of a person that are asked for anywhere, as far as the client may ever have them."""
        return scopes.claims_of(allowed) & (set(self.userinfo) | set(self.id_token))

    def kept(self, allowed: tuple[str, ...]) -> dict[str, list[str]]:
        """Return what the grant has to remember: for each place, which claims of a person go there."""
        may = scopes.claims_of(allowed)
        places = {"userinfo": sorted(may & set(self.userinfo)), "id_token": sorted(may & set(self.id_token))}
        return {place: names for place, names in places.items() if names}

    def accepted(self, claim: str) -> list[tuple[object, ...]]:
        """Return, for each place where `claim` is asked for with values, those that would do."""
        wishes = (self.id_token.get(claim), self.userinfo.get(claim))
        return [wish.accepted for wish in wishes if wish is not None and wish.accepted]


NOTHING = ClaimsRequest()


def read(text: str) -> ClaimsRequest:
    """Return what the parameter `text` asks for."""
    try:
        told = msgspec.json.decode(text, type=_Parameter)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadClaims from error
    return ClaimsRequest(_wishes(told.userinfo), _wishes(told.id_token))


def _wishes(asked: dict[str, Wish | None] | None) -> dict[str, Wish]:
    # A claim with null is asked for in the ordinary way.
    return {name: wish or Wish() for name, wish in (asked or {}).items()}
