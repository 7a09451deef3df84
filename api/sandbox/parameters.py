"""What a parameter may be: leaf readers, and the shapes that operations are described with.

A shape is a leaf (text in, value out), a dictionary (a hash with closed keys) or a list of one shape (an
array). An empty string unsets, as with Stripe, and reads as None.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from api.sandbox.forms import Form
from api.sandbox.problems import Doc, StripeProblem, missing

Leaf = Callable[..., Any]
Shape: TypeAlias = Leaf | dict[str, "Shape"] | list["Shape"]

MOST_TEXT = 5000
MOST_KEYS = 50
LONGEST_KEY = 40
LONGEST_VALUE = 500
GREATEST = 99_999_999
CURRENCIES = frozenset(
    [
        "aed",
        "aud",
        "bgn",
        "brl",
        "cad",
        "chf",
        "clp",
        "cny",
        "cop",
        "czk",
        "dkk",
        "egp",
        "eur",
        "gbp",
        "gel",
        "hkd",
        "huf",
        "idr",
        "ils",
        "inr",
        "isk",
        "jpy",
        "kes",
        "krw",
        "mad",
        "mxn",
        "myr",
        "ngn",
        "nok",
        "nzd",
        "pen",
        "php",
        "pln",
        "ron",
        "rsd",
        "sar",
        "sek",
        "sgd",
        "thb",
        "try",
        "twd",
        "uah",
        "usd",
        "uyu",
        "vnd",
        "zar",
    ]
)


def text(raw: str, param: str) -> str | None:
    """Text of at most 5,000 characters."""
    if len(raw) > MOST_TEXT:
        raise StripeProblem(
            f"Invalid string: must be at most {MOST_TEXT} characters",
            code="parameter_invalid_string",
            param=param,
        )
    return raw or None


def address(raw: str, param: str) -> str | None:
    """An absolute http or https address."""
    if not raw:
        return None
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", raw) or len(raw) > MOST_TEXT:
        raise StripeProblem("Not a valid URL", code="url_invalid", param=param)
    return raw


def whole(raw: str, param: str) -> int:
    """A whole number, which may be negative."""
    if not re.fullmatch(r"-?[0-9]{1,15}", raw):
        raise StripeProblem(f"Invalid integer: {raw[:40]}", code="parameter_invalid_integer", param=param)
    return int(raw)


def count(raw: str, param: str) -> int:
    """A whole number that is not negative."""
    number = whole(raw, param)
    if number < 0:
        raise StripeProblem(
            "This value must be greater than or equal to 0.", code="parameter_invalid_integer", param=param
        )
    return number


def amount(raw: str, param: str) -> int:
    """An amount in minor units: whole, not negative, at most eight digits."""
    number = count(raw, param)
    if number > GREATEST:
        raise StripeProblem(f"Amount must be no more than {GREATEST}", code="amount_too_large", param=param)
    return number


def instant(raw: str, param: str) -> int | str:
    """A Unix timestamp, or `now`."""
    return raw if raw == "now" else count(raw, param)


def flag(raw: str, param: str) -> bool | None:
    """`true` or `false`."""
    if raw == "":
        return None
    if raw not in {"true", "false"}:
        raise StripeProblem(f"Invalid boolean: {raw[:40]}", code="parameter_invalid_boolean", param=param)
    return raw == "true"


def currency(raw: str, param: str) -> str:
    """A three-letter currency that Stripe knows, in lower case."""
    if raw.lower() not in CURRENCIES:
        raise StripeProblem(
            f"Invalid currency: {raw[:10].lower()}. Stripe currently supports these currencies: "
            + ", ".join(sorted(CURRENCIES)),
            param=param,
        )
    return raw.lower()


def one_of(*choices: str) -> Leaf:
    """One word of a closed list."""

    def read_choice(raw: str, param: str) -> str | None:
        if raw == "":
            return None
        if raw not in choices:
            raise StripeProblem(f"Invalid {param}: must be one of {', '.join(choices)}", param=param)
        return raw

    return read_choice


def metadata(form: "str | Form", param: str) -> Doc:
    """Metadata: at most 50 keys of 40 characters with values of 500; an empty value removes its key."""
    if form == "":
        return {"": None}
    if isinstance(form, str):
        raise StripeProblem("Invalid hash", param=param)
    if len(form) > MOST_KEYS:
        raise StripeProblem(
            f"Metadata can have up to {MOST_KEYS} keys, but you passed {len(form)}.", param=param
        )
    read: Doc = {}
    for key, value in form.items():
        here = f"{param}[{key}]"
        if len(key) > LONGEST_KEY:
            raise StripeProblem(f"Metadata keys can have up to {LONGEST_KEY} characters.", param=here)
        if not isinstance(value, str):
            raise StripeProblem("Metadata values must be strings.", param=here)
        if len(value) > LONGEST_VALUE:
            raise StripeProblem(
                f"Metadata values can have up to {LONGEST_VALUE} characters, but you passed in a value that is "
                f"{len(value)} characters.",
                param=here,
            )
        read[key] = value or None
    return read


ADDRESS: Shape = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), text)
SHIPPING: Shape = {"name": text, "phone": text, "address": ADDRESS}
RANGE: dict[str, "Shape"] = {"gt": count, "gte": count, "lt": count, "lte": count}


def created(raw: "str | Form", param: str) -> object:
    """An instant, or a range of instants."""
    if isinstance(raw, str):
        return count(raw, param)
    return read(raw, RANGE, param)


def read(form: Form, shape: dict[str, Shape], prefix: str = "") -> Doc:
    """Read `form` by `shape`, refusing what the shape does not know."""
    values: Doc = {}
    for key, raw in form.items():
        param = f"{prefix}[{key}]" if prefix else key
        if key not in shape:
            raise StripeProblem(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
        values[key] = _read_one(raw, shape[key], param)
    return values


def _read_one(raw: "str | Form", shape: Shape, param: str) -> object:
    if shape is metadata:
        return metadata(raw, param)
    if shape is created:
        return created(raw, param)
    if callable(shape):
        if not isinstance(raw, str):
            raise StripeProblem(f"Invalid string: {param} must not be nested", param=param)
        return shape(raw, param)
    if raw == "":
        return [] if isinstance(shape, list) else None
    if isinstance(raw, str):
        raise StripeProblem(f"Invalid {'array' if isinstance(shape, list) else 'object'}", param=param)
    if isinstance(shape, list):
        if not all(key.isascii() and key.isdigit() for key in raw):
            raise StripeProblem("Invalid array", param=param)
        values = [
            _read_one(raw[key], shape[0], f"{param}[{key}]")
            for key in sorted(raw, key=lambda key: int(key[:9]))
        ]
        return [value for value in values if value is not None]
    return read(raw, shape, param)


def need(params: Doc, *names: str) -> None:
    """Refuse a request that leaves out any of `names`."""
    for name in names:
        if params.get(name) is None:
            raise missing(name)


def merged(old: Doc, given: Doc | None) -> Doc:
    """Return metadata with `given` applied: empty values remove keys, an empty hash removes all."""
    if given is None:
        return old
    if "" in given:
        return {}
    new = {key: value for key, value in (old | given).items() if value is not None}
    if len(new) > MOST_KEYS:
        raise StripeProblem(f"Metadata can have up to {MOST_KEYS} keys.", param="metadata")
    return new
