"""Renders the pages: one Jinja environment, the visitor's language, money and dates in it, and assets by their hash."""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_percent
from babel.support import NullTranslations
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.datastructures import State

from api.pages.languages import LOCALES, translated, translations
from api.security import content_security_policy
from coop.money import WHOLE, Money
from coop.settings import Settings

HERE = Path(__file__).parent
STATIC = HERE / "static"

ASKED_LOCALE = "asked_locale"
"""Where a request keeps the language that it asks for itself (`ui_locales`)."""
WISHED_LOCALE = "wished-locale"
"""The cookie of the language in which the network that sent the visitor here speaks to them."""

AnyRequest = Request[object, object, State]


def wants_page(request: AnyRequest) -> bool:
    """Tell whether the visitor reads HTML; programs that accept anything get JSON, and so does who asks what only programs ask."""
    if request.url.path.startswith(("/v1/", "/hooks/")):
        return False
    return "text/html" in request.headers.get("accept", "")


def locale_of(request: AnyRequest) -> str:
    """Return the language of this answer.

    The visitor's choice comes first, then what a network asks for in this very request, the
    account's, what a network asked for a moment ago, the browser's, and ours.
    """
    settings: Settings = request.app.state.settings
    chosen = request.cookies.get("locale")
    if chosen in LOCALES:
        return chosen
    asked = request.state.get(ASKED_LOCALE)
    if asked in LOCALES:
        return str(asked)
    viewer = request.state.get("viewer")
    if viewer is not None and viewer.locale in LOCALES:
        return str(viewer.locale)
    wished = request.cookies.get(WISHED_LOCALE)
    if wished in LOCALES:
        return wished
    for part in request.headers.get("accept-language", "")[:200].split(","):
        language = part.partition(";")[0].strip().lower()[:2]
        if language in LOCALES:
            return language
    return settings.locale


def page(
    template: str,
    request: AnyRequest,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    form_targets: tuple[str, ...] = (),
    **context: object,
) -> Response[bytes]:
    """Render `template` for this visitor; pages are never stored by shared caches."""
    settings: Settings = request.app.state.settings
    locale = locale_of(request)
    body = (
        environment(locale)
        .get_template(template)
        .render(
            settings=settings,
            viewer=request.state.get("viewer"),
            locale=locale,
            path=request.url.path,
            demo=settings.demo,
            money=lambda amount: money(amount, settings, locale),
            day=lambda instant: day(instant, settings, locale),
            instant=lambda moment: instant_text(moment, settings, locale),
            asset=asset,
            **context,
        )
    )
    merged = {
        "Content-Security-Policy": content_security_policy(form_targets),
        "Cache-Control": "no-store",
        "Vary": "Cookie, Accept-Language, Accept",
        "Content-Language": locale,
    } | (headers or {})
    return Response(body.encode(), status_code=status, media_type=MediaType.HTML, headers=merged)


@cache
def environment(locale: str) -> Environment:
    """Return the templates' environment in one language; everything is escaped unless a template says otherwise."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue: NullTranslations = translations(locale)
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # added by the i18n extension
    # For words that come from elsewhere, such as the message of a refusal: looked up, never formatted.
    made.filters["browser"] = browser
    made.filters["percent"] = lambda basis_points: percent(basis_points, locale)
    made.filters["month"] = lambda first: format_date(first, format="LLLL y", locale=locale)
    made.filters["translate"] = lambda text: translated(text, catalogue)
    return made


def percent(basis_points: int, locale: str) -> str:
    """Write basis points as readers of `locale` expect a percentage: 23 %, 5.5 %."""
    return format_percent(Decimal(basis_points) / WHOLE, locale=locale, decimal_quantization=False)


def money(amount: Money, settings: Settings, locale: str) -> str:
    """Write an amount as readers of `locale` expect it; whole sums go without decimals."""
    currency = settings.money
    value = currency.plain(amount)
    whole = not currency.places or value.endswith("." + "0" * currency.places)
    return (
        format_currency(
            value,
            currency.code.upper(),
            locale=locale,
            format=None,
            decimal_quantization=False,
            currency_digits=not whole,
        )
        if not whole
        else format_currency(
            value.partition(".")[0],
            currency.code.upper(),
            locale=locale,
            format=_whole(locale),
            currency_digits=False,
        )
    )


@lru_cache
def _whole(locale: str) -> str:
    return {"en": "¤#,##0", "pl": "#,##0\xa0¤", "fr": "#,##0\xa0¤"}[locale]


def day(instant: datetime | date, settings: Settings, locale: str) -> str:
    """Write the calendar day of `instant` in the co-op's time zone."""
    if isinstance(instant, datetime):
        instant = instant.astimezone(settings.zone).date()
    return format_date(instant, format="d MMMM y", locale=locale)


def instant_text(moment: datetime, settings: Settings, locale: str) -> str:
    """Write an instant in the co-op's time zone, with the zone's name."""
    local = moment.astimezone(settings.zone)
    return f"{format_datetime(local, format='d MMMM y, HH:mm', locale=locale)} {local.tzname()}"


def browser(user_agent: str) -> str:
    """Name the browser and the system behind a User-Agent in a few words, or return it as it is."""
    names = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {
        "Android": "Android",
        "iPhone": "iPhone",
        "iPad": "iPad",
        "Windows": "Windows",
        "Mac OS X": "macOS",
    }
    systems |= {"CrOS": "ChromeOS", "Linux": "Linux"}
    # Each browser also claims to be those that come after it here.
    name = next((name for mark, name in names.items() if mark in user_agent), None)
    system = next((system for mark, system in systems.items() if mark in user_agent), None)
    return ", ".join(filter(None, (name, system))) if name else user_agent


@cache
def asset(name: str) -> str:
    """Return the URL of a static file; the digest in it lets browsers keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
