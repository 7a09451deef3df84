"""Fields of the sandbox's own forms, read from pages and never from programs."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request
from litestar.exceptions import PermissionDeniedException

from api.sandbox.forms import MOST_BYTES, parse
from api.sandbox.objects.cards import Card, numbered
from api.sandbox.problems import StripeProblem


async def posted(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the plain fields of a form of ours; a form on another site is refused."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = str(request.app.state.sandbox.url)
    if site not in {None, "same-origin", "none"} or (site is None and origin and not own.startswith(origin)):
        raise PermissionDeniedException
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise StripeProblem("The form is too large.", status=413)
    return {name: value.strip() for name, value in parse(body).items() if isinstance(value, str)}


def card(fields: dict[str, str], now: float) -> tuple[Card | None, tuple[int, int], dict[str, str]]:
    """Read a card: the test card, its expiry and, by field, what must be corrected."""
    wrong: dict[str, str] = {}
    found = numbered(fields.get("number", ""))
    digits = fields.get("number", "").replace(" ", "").replace("-", "")
    if not digits:
        wrong["number"] = "Enter a card number."
    elif found is None:
        wrong["number"] = (
            "This is not a test card. Never enter a real card here; choose one from the list below."
        )
    expiry = _expiry(fields.get("expiry", ""), now)
    if expiry is None:
        wrong["expiry"] = "Enter a month and a year that are still to come, such as 12 / 34."
    code = fields.get("cvc", "")
    if not (code.isascii() and code.isdigit() and len(code) in {3, 4}):
        wrong["cvc"] = "Enter the three digits of the security code."
    return found, expiry or (12, 2034), wrong


def _expiry(text: str, now: float) -> tuple[int, int] | None:
    parts = text.replace(" ", "").replace("-", "/").split("/")
    if len(parts) == 1 and len(parts[0]) == 4:  # noqa: PLR2004 - MMYY
        parts = [parts[0][:2], parts[0][2:]]
    if not all(part.isascii() and part.isdigit() and len(part) in {1, 2, 4} for part in parts):
        return None
    try:
        month, year = map(int, parts)
    except ValueError:
        return None
    year += 2000 if year < 100 else 0  # noqa: PLR2004 - two digits of a year
    today = datetime.fromtimestamp(now, UTC)
    if not 1 <= month <= 12 or (year, month) < (today.year, today.month) or year > today.year + 50:  # noqa: PLR2004 - months, and a lifetime
        return None
    return month, year
