"""E-mail addresses: their form. An address is private, optional, and worth something only once it is verified."""

import re

from coop.errors import Invalid

LONGEST = 254
_GRAMMAR = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.ASCII | re.IGNORECASE,
)


class BadAddress(Invalid):
    """Write the e-mail address like name@example.org, or leave it empty."""

    code = "bad_email"
    title = "That e-mail address cannot be used"


def checked(typed: str) -> str | None:
    """Return the address as it is stored, nothing if none was given, or refuse it.

    Lower case throughout: no mail system of note tells them apart, and people do not remember how they wrote theirs.
    """
    address = typed.strip()
    if not address:
        return None
    if len(address) > LONGEST or not _GRAMMAR.fullmatch(address) or ".." in address:
        raise BadAddress(field="email")
    return address.lower()
