"""Form-encoded requests with bracket keys: `items[0][price]=price_1` becomes nested values."""

import re
from itertools import pairwise
from urllib.parse import parse_qsl

from api.sandbox.problems import StripeProblem

MOST_PAIRS = 1000
MOST_BYTES = 256 * 1024
DEEPEST = 6

Form = dict[str, "str | Form"]

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def parse(encoded: bytes) -> Form:
    """Read a query string or a form body into nested dictionaries; arrays keep their indices as keys."""
    if len(encoded) > MOST_BYTES:
        raise StripeProblem("The request is too large.", status=413)
    try:
        pairs = parse_qsl(
            encoded.decode(),
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=MOST_PAIRS,
        )
    except ValueError:
        raise StripeProblem("The request body could not be read as form-encoded UTF-8 text.") from None
    form: Form = {}
    for key, value in pairs:
        if "\0" in key or "\0" in value:
            raise StripeProblem("Text may not contain NUL.", param=key.replace("\0", ""))
        _place(form, key, value)
    return form


def _place(form: Form, key: str, value: str) -> None:
    match = _KEY.fullmatch(key)
    if match is None:
        raise StripeProblem("Invalid request parameters", param=key)
    path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(path) > DEEPEST:
        raise StripeProblem("Parameters are nested too deeply.", param=key)
    here = form
    for step, following in pairwise(path):
        inner = here.setdefault(_index(here, step, opens=not following), {})
        if isinstance(inner, str):
            raise StripeProblem("Invalid request parameters", param=key)
        here = inner
    last = _index(here, path[-1], opens=True)
    if last in here:
        raise StripeProblem(f"The parameter {key} was sent twice.", param=key)
    here[last] = value


def _index(here: Form, step: str, *, opens: bool) -> str:
    """Turn the empty bracket of `a[]=1&a[]=2` into the next index."""
    if step:
        return step
    return str(len(here)) if opens or not here else str(len(here) - 1)
