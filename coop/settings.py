"""Configuration: one TOML file, `COOP_*` environment variables above it, secrets also from `*_FILE`.

Every setting is a field of `Settings`, with its documentation in docs/settings.md. An unknown key is an
error that names the nearest known one, since a misspelt security setting must never be ignored.
"""

import datetime as dt
import difflib
import functools
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from coop.errors import CoopError
from coop.money import Currency

PREFIX = "COOP_"
SECRET_SETTINGS = (
    "secret_key",
    "pairwise_secret",
    "stripe_secret_key",
    "stripe_webhook_secret",
    "smtp_password",
)


class BadSettings(CoopError):
    """The configuration cannot be used."""

    code = "bad_settings"
    title = "The configuration cannot be used"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator can set; the defaults run a demo cooperative on one machine."""

    name: str = "Commons Cooperative"
    """What members call the cooperative."""
    issuer: str = "http://127.0.0.1:8000"
    """The public origin of this service, without a trailing slash; every URL is built from it."""
    database_url: str = "sqlite+aiosqlite:///var/coop.sqlite"
    """`sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER@HOST/NAME`."""
    currency: str = "usd"
    """The home currency; it cannot change once the books are open."""
    time_zone: str = "UTC"
    """The zone in which a membership day begins and ends."""
    locale: Literal["en", "pl", "fr"] = "en"
    """The language of letters and of pages for visitors who ask for none of ours."""
    secret_key: str = ""
    """Seals and signs what leaves for the browser and encrypts keys at rest; 32 random bytes in hexadecimal."""
    pairwise_secret: str = ""
    """Derives pairwise subjects; 32 random bytes in hexadecimal. It is never rotated; back it up apart."""
    demo: bool = False
    """A demo cooperative: movable clock, mailbox page, sandbox, open registration, http on loopback."""
    worker: bool = True
    """Run the background worker inside the server process; set to false where `coop work` runs on its own."""
    sponsorship_delay_hours: Annotated[int, msgspec.Meta(ge=0, le=24)] = 24
    """Sponsored places begin at a random time within these hours, so that a gift cannot be matched to one."""
    address: str = ""
    """The cooperative's postal address, on receipts; lines apart by commas."""
    vat_rates: str = ""
    """The VAT that dues contain: rates in basis points, each with its first day, as `2300 from 2027-01-01`, apart by commas; none without it."""
    vat_number: str = ""
    """The cooperative's VAT number, on receipts."""
    bank_account: str = ""
    """Where bank transfers go, as members are to write it (an IBAN, or routing and account number); without it none are offered."""
    bank_holder: str = ""
    """In whose name the bank account is, if not the cooperative's."""
    bank_name: str = ""
    """The bank, with its BIC where members abroad need it."""
    transfer_days: Annotated[int, msgspec.Meta(ge=3, le=60)] = 14
    """How long an announced bank transfer keeps its price."""
    two_people_above: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] = 10_000
    """Above so many minor units, money that goes back or is credited by hand needs a second treasurer."""
    stripe_secret_key: str = ""
    """The secret API key of Stripe, or of the sandbox."""
    stripe_webhook_secret: str = ""
    """The signing secret of the webhook endpoint; two, separated by a comma, while one is being rotated."""
    stripe_api_base: str = "https://api.stripe.com"
    """Where Stripe's API answers; the demo points it at the sandbox."""
    smtp_host: str = ""
    """The mail server; without one, letters stay in the mailbox page (demo) or in the outbox."""
    smtp_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    """The mail server's port."""
    smtp_username: str = ""
    """The mail server's user."""
    smtp_password: str = ""
    """The mail server's password."""
    mail_from: str = "membership@localhost"
    """The sender of letters."""
    private_targets: bool = False
    """Allow webhooks and server-side fetches to private and loopback addresses; for development only."""
    password_workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """How many passwords may be hashed at the same time; more wait, then are asked to come back."""

    def __post_init__(self) -> None:
        """Refuse values that would only fail later, or worse, not fail."""
        parts = urlsplit(self.issuer)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.netloc
            or self.issuer != f"{parts.scheme}://{parts.netloc}"
        ):
            raise BadSettings(f"issuer must be an origin like https://members.example, not {self.issuer!r}")
        if parts.scheme == "http" and not (self.demo and parts.hostname in {"127.0.0.1", "localhost", "::1"}):
            raise BadSettings("issuer must use https; plain http is for a demo on a loopback address only")
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError) as error:
            raise BadSettings(f"time_zone {self.time_zone!r} is not in the time zone database") from error
        Currency.of(self.currency)
        _vat_rates(self.vat_rates)
        for key in ("secret_key", "pairwise_secret"):
            value = getattr(self, key)
            if value and (len(value) < 64 or not all(c in "0123456789abcdef" for c in value)):  # noqa: PLR2004 - 32 bytes
                raise BadSettings(f"{key} must be 32 random bytes in hexadecimal; `coop init` makes one")

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over TLS, which decides cookie prefixes."""
        return self.issuer.startswith("https://")

    @property
    def host(self) -> str:
        """The host, with its port if it has one, of the issuer."""
        return urlsplit(self.issuer).netloc

    @property
    def zone(self) -> ZoneInfo:
        """The co-op's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def money(self) -> Currency:
        """The home currency."""
        return Currency.of(self.currency)

    def vat_rate(self, day: dt.date) -> int:
        """Return the rate of VAT on dues in force on `day`, in basis points; 0 where there is none."""
        return next((rate for since, rate in reversed(_vat_rates(self.vat_rates)) if since <= day), 0)

    def url(self, path: str) -> str:
        """Return the absolute URL of `path`; the Host header has no say in it."""
        return f"{self.issuer}{path}"

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Settings(issuer={self.issuer!r}, demo={self.demo})"


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
    **overrides: object,
) -> Settings:
    """Read `defaults`, `path` (TOML), `COOP_*` of `environ`, and `overrides`; the later wins."""
    environ = os.environ if environ is None else environ
    raw: dict[str, Any] = dict(defaults or {})
    if path is not None:
        try:
            raw.update(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise BadSettings(f"there is no settings file {path}; `coop init` writes one") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path}: {error}") from error
    raw.update(_from_environment(environ))
    raw.update(overrides)
    for key in raw:
        _known(key)
    try:
        # Not strict, since the environment only has text: "587" and "true" must do.
        return msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error)) from error


@functools.lru_cache(maxsize=8)
def _vat_rates(text: str) -> tuple[tuple[dt.date, int], ...]:
    """Read rates of VAT and the days from which they hold, the earliest first."""
    rates = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        found = _VAT_RATE.fullmatch(one)
        try:
            since = None if found is None else dt.date.fromisoformat(found[2])
        except ValueError:
            since = None
        if found is None or since is None:
            raise BadSettings(f"vat_rates: write {one!r} as `2300 from 2027-01-01`, the rate in basis points")
        rates.append((since, int(found[1])))
    if any(rate > MOST_VAT for _, rate in rates):
        raise BadSettings(f"vat_rates are basis points, at most {MOST_VAT}: 2300 is 23 %")
    days = [since for since, _ in rates]
    if days != sorted(set(days)):
        raise BadSettings("vat_rates must follow one another, each with a first day of its own")
    return tuple(rates)


_VAT_RATE = re.compile(r"([0-9]{1,4}) from ([0-9]{4}-[0-9]{2}-[0-9]{2})", re.ASCII)
MOST_VAT = 5_000
"""No state takes more than half of a price."""


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for variable, value in environ.items():
        # The launcher's own variables (COOP_PG_BIN, COOP_CHROMIUM, COOP_SETTINGS …) are not settings.
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        key = variable.removeprefix(PREFIX).lower()
        if key.endswith("_file") and key.removesuffix("_file") in SECRET_SETTINGS:
            key = key.removesuffix("_file")
            try:
                value = Path(value).read_text(encoding="utf-8").strip()  # noqa: PLW2901 - the file's text is the value
            except OSError as error:
                raise BadSettings(f"{variable}: cannot read that file ({error.strerror})") from error
        found[key] = value
    return found


_NOT_SETTINGS = {"COOP_PG_BIN", "COOP_CHROMIUM", "COOP_SETTINGS", "COOP_DATA"}


def _known(key: str) -> None:
    if key in Settings.__struct_fields__:
        return
    nearest = difflib.get_close_matches(key, Settings.__struct_fields__, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise BadSettings(f"there is no setting {key!r}{hint}")
