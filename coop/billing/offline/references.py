"""Payment references: ISO 11649 creditor references, whose check digits tell a slip of the pen from another payment."""

import re
import secrets

_DIGITS = 10
_WRITTEN = re.compile(rf"(?=(RF[0-9]{{{2 + _DIGITS}}}))", re.ASCII)
_NOISE = re.compile(r"[^0-9A-Z]", re.ASCII)


def make() -> str:
    """Return a fresh reference, without spaces: RF, two check digits, ten random digits."""
    body = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
    return f"RF{_check_digits(body)}{body}"


def valid(reference: str) -> bool:
    """Tell whether the check digits fit (ISO 7064, MOD 97-10): every single slip and every swap of neighbours shows."""
    return _remainder(reference[4:] + reference[:4]) == 1


def spaced(reference: str) -> str:
    """Write a reference in groups of four, as it is printed."""
    return " ".join(reference[at : at + 4] for at in range(0, len(reference), 4))


def found_in(text: str) -> list[str]:
    """Return the valid references that somebody wrote into `text`, in whatever case and with whatever between the groups."""
    bare = _NOISE.sub("", text.upper())
    return list(dict.fromkeys(found for found in _WRITTEN.findall(bare) if valid(found)))


def _check_digits(body: str) -> str:
    return f"{98 - _remainder(body + 'RF00'):02d}"


def _remainder(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
