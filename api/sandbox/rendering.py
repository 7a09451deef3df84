"""Rendering: templates that escape, and the headers that every page of the sandbox carries."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from api.sandbox.rules import written

_HERE = Path(__file__).parent
STYLE = (_HERE / "static" / "sandbox.css").read_bytes()
_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["money"] = lambda amount, currency: written(amount, currency or "usd")
_templates.filters["groups"] = lambda number: " ".join(wrap(number, 4))
_templates.filters["day"] = lambda instant: datetime.fromtimestamp(instant, UTC).strftime("%-d %B %Y")


def headers(targets: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the security headers; `targets` are the addresses that a form may lead to in the end."""
    # Browsers apply form-action to the redirect after a POST, so that the way back must be named.
    origins = sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, targets) if parts.netloc})
    allowed = " ".join(["'self'", *(origin for origin in origins if not set(origin) & set(" ;,'\""))])
    return {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {allowed}"
        ),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def page(
    name: str,
    context: Mapping[str, Any],
    *,
    base: str,
    status: int = 200,
    targets: tuple[str, ...] = (),
) -> Response[str]:
    """Return a page; `base` is the address of the sandbox, by which the page finds its style."""
    text = _templates.get_template(name).render(base=base, **context)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers(targets))
