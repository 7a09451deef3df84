"""A code becomes an access, a refresh and an ID Token, with PKCE."""

from benchmarks.cooperative import Cooperative, redemption
from benchmarks.load import Load, form
from benchmarks.paths import Path

CODES = 3000
"""More than a round uses up; one that uses up all of them ends early and is counted by its own length."""


async def load(cooperative: Cooperative) -> Load:
    """Redeem fresh codes, each once."""
    codes = await cooperative.codes(CODES)
    return Load(tuple(form("/oauth/token", redemption(code), cooperative.basic) for code in codes), "once")


PATHS = (Path("code-exchange", load, beside="insert"),)
