"""The one door of the API: key, parameters, idempotency, the operation, expansion, and Stripe's errors."""

import base64
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from api.sandbox import idempotency
from api.sandbox.desk import Desk, fresh
from api.sandbox.expansion import expand
from api.sandbox.forms import parse
from api.sandbox.objects import (
    balance,
    catalogue,
    charges,
    checkout,
    clocks,
    completion,
    connect,
    customers,
    disputes,
    hooks,
    invoicing,
    payment_methods,
    payments,
    portal,
    refunds,
    setups,
    subscribing,
)
from api.sandbox.operations import EXPAND, Operation
from api.sandbox.parameters import read
from api.sandbox.problems import StripeProblem
from api.sandbox.terms import API_VERSION

OPERATIONS: list[Operation] = [
    operation
    for part in (
        balance,
        catalogue,
        charges,
        checkout,
        clocks,
        completion,
        connect,
        customers,
        disputes,
        hooks,
        invoicing,
        payment_methods,
        payments,
        portal,
        refunds,
        setups,
        subscribing,
    )
    for operation in part.OPERATIONS
]
_ROUTES = [
    (operation, re.compile(re.escape(operation.path).replace(r"\{\}", r"([A-Za-z0-9_.]{1,255})")))
    for operation in OPERATIONS
]
_ACCOUNTED = ("/v1/balance", "/v1/payouts", "/v1/account")
UNKNOWN = StripeProblem("An unknown error occurred.", status=500, kind="api_error")
"""What is said of a failure that is nobody's fault but Stripe's."""
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z_0-9]+)?")


@dataclass(frozen=True)
class Asked:
    """A request, free of any web framework."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""
    authorization: str = field(default="", repr=False)
    version: str = ""
    key: str | None = None
    account: str = ""
    content_type: str = ""


@dataclass
class Answer:
    """What is sent back, unless a fault loses it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    lost: str = ""
    delay: float = 0
    """Seconds that the answer takes; its idempotency key is in use for as long."""


def answering(asked: Asked) -> Callable[[Desk], Answer]:
    """Return the work that answers a request at a desk."""

    def work(desk: Desk) -> Answer:
        desk.request = fresh("req", 14)
        began = desk.instant
        answer = _turned_away(desk, asked) or _answer(desk, asked)
        if answer.status < 300 or answer.status == 402:  # noqa: PLR2004 - success, or a card that was tried
            answer = _bent(desk, asked, answer, began)
        answer.headers |= {
            "Request-Id": desk.request,
            "Stripe-Version": asked.version or API_VERSION,
            "Cache-Control": "no-cache, no-store",
        }
        if asked.key is not None:
            answer.headers["Idempotency-Key"] = asked.key
        return answer

    return work


def _turned_away(desk: Desk, asked: Asked) -> Answer | None:
    """Refuse a request before it is looked at, if a fault says so; nothing is kept of it."""
    fault = desk.take_fault(("failing", "limited"), asked.path)
    if fault is None:
        return None
    if fault["kind"] == "failing":
        return Answer(500, json.dumps(UNKNOWN.body, indent=2).encode())
    refused = StripeProblem(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
    )
    return Answer(429, json.dumps(refused.body, indent=2).encode())


def _bent(desk: Desk, asked: Asked, answer: Answer, began: float) -> Answer:
    """Keep an answer under its key, and let an armed fault delay it, lose it or put a 500 in its place."""
    kinds = ("slow",) if asked.method == "GET" else ("slow", "unanswered", "closed", "broken")
    fault = desk.take_fault(kinds, asked.path)
    kind = fault["kind"] if fault else ""
    if fault and kind == "slow":
        answer.delay = fault["detail"]
    elif kind == "broken" and "Idempotent-Replayed" not in answer.headers:
        answer = Answer(500, json.dumps(UNKNOWN.body, indent=2).encode())
    elif kind in {"unanswered", "closed"}:
        answer.lost = kind
    _keep(desk, asked, answer, began)
    return answer


def _keep(desk: Desk, asked: Asked, answer: Answer, made: float) -> None:
    if asked.method == "POST" and asked.key and "Idempotent-Replayed" not in answer.headers:
        mark = idempotency.fingerprint(asked.method, asked.path, asked.body, asked.account)
        idempotency.remember(desk, asked.key, mark, answer.status, answer.body, made)


def _answer(desk: Desk, asked: Asked) -> Answer:
    # What a refused request wrote must vanish, but the refusal itself is an answer like any other.
    desk.store.run("SAVEPOINT asked")
    try:
        answer = _perform(desk, asked)
    except StripeProblem as problem:
        if not problem.keep:
            desk.store.run("ROLLBACK TO asked")
        answer = Answer(problem.status, json.dumps(problem.body, indent=2).encode())
    desk.store.run("RELEASE asked")
    return answer


def _perform(desk: Desk, asked: Asked) -> Answer:
    _check_key(desk, asked)
    if asked.version and not _VERSION.fullmatch(asked.version):
        raise StripeProblem(f"Invalid Stripe API version: {asked.version[:40]}")
    operation, ids = _find(asked)
    if asked.account:
        if not asked.path.startswith(_ACCOUNTED):
            raise StripeProblem("The sandbox offers Stripe-Account for balance, payouts and account only.")
        desk.account = desk.get("account", asked.account, "Stripe-Account")["id"]
    if asked.method == "POST":
        if asked.body and not asked.content_type.startswith("application/x-www-form-urlencoded"):
            raise StripeProblem(
                "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
            )
        desk.key = asked.key
        if asked.key:
            mark = idempotency.fingerprint(asked.method, asked.path, asked.body, asked.account)
            kept = idempotency.recall(desk, asked.key, mark)
            if kept is not None:
                return Answer(*kept, headers={"Idempotent-Replayed": "true"})
    form = parse(asked.query if asked.method == "GET" else asked.body or asked.query)
    params = read(form, {**operation.shape, **EXPAND})
    paths = params.pop("expand", None) or []
    result = operation.run(desk, params, *ids)
    return Answer(200, json.dumps(expand(desk, result, paths), indent=2).encode())


def _check_key(desk: Desk, asked: Asked) -> None:
    scheme, _, key = asked.authorization.partition(" ")
    if scheme.lower() == "basic":
        # As `curl -u sk_test_…:` sends it: the key is the name, and there is no password.
        with contextlib.suppress(ValueError):
            key = base64.b64decode(key, validate=True).decode("ascii").partition(":")[0]
            scheme = "bearer"
    if scheme.lower() != "bearer" or not key:
        raise StripeProblem(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    known = key in desk.terms.keys if desk.terms.keys else key.startswith(("sk_test_", "rk_test_"))
    if not known:
        raise StripeProblem(
            f"Invalid API Key provided: {key[:7]}{'*' * 8}", status=401, code="api_key_invalid"
        )


def _find(asked: Asked) -> tuple[Operation, tuple[str, ...]]:
    best: tuple[Operation, tuple[str, ...]] | None = None
    for operation, pattern in _ROUTES:
        match = pattern.fullmatch(asked.path) if operation.method == asked.method else None
        if match is not None and (best is None or len(match.groups()) < len(best[1])):
            best = operation, match.groups()
    if best is None:
        raise StripeProblem(
            f"Unrecognized request URL ({asked.method}: {asked.path}). The sandbox has the part of Stripe that the "
            "cooperative uses.",
            status=404,
            code="url_invalid",
        )
    return best
