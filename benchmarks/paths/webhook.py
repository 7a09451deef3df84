"""The processor tells of newcomers who have paid for their first year; 200 means that the books are committed."""

import hashlib
import hmac
import secrets
from uuid import UUID, uuid4

from sqlalchemy import insert

from benchmarks import processor
from benchmarks.cooperative import Cooperative, analyse, handle
from benchmarks.load import Load, request
from benchmarks.paths import Path
from coop import policies
from coop.billing.intents import Checkout
from coop.database import Row
from coop.identity import handles
from coop.identity.accounts import Account
from coop.money import Money
from coop.policies import Dues

EVENTS = 4000
"""More than a round uses up; one that uses up all of them ends early and is counted by its own length."""
AT_ONCE = 500


async def load(cooperative: Cooperative) -> Load:
    """Open a checkout for each of many newcomers, and tell of each once that it was paid."""
    operations = [uuid4() for _ in range(EVENTS)]
    await newcomers(cooperative, {operation: uuid4() for operation in operations})
    await analyse(cooperative.units)
    secret = cooperative.settings.stripe_webhook_secret.encode()
    stamp = int(cooperative.units.clock.wall().timestamp())
    return Load(tuple(_told(cooperative.told["event"], each, secret, stamp) for each in operations), "once")


async def newcomers(cooperative: Cooperative, accounts: dict[UUID, UUID]) -> None:
    """Register accounts, each with a checkout under way."""
    async with cooperative.units.open() as work:
        dues = await policies.in_force(work, Dues)
        people: list[Row] = []
        pages: list[Row] = []
        for operation, account_id in accounts.items():
            name = handle(10**9 + secrets.randbelow(10**18))
            people.append(
                {
                    "id": account_id,
                    "handle": name,
                    "skeleton": handles.skeleton(name),
                    "created_at": work.wall,
                    "email": f"{name}@example.org",
                    "locale": "en",
                }
            )
            pages.append(
                {
                    "id": operation,
                    "key": operation.hex,
                    "account_id": account_id,
                    "purpose": "dues",
                    "amount": Money(dues.document.price),
                    "price": Money(dues.document.price),
                    "policy_version": dues.id,
                    "automatic": False,
                    "instalments": 0,
                    "next_path": "/account",
                    "begun_at": work.now,
                    "expires_at": work.now,
                    "state": "open",
                    "gateway_id": f"cs_test_{operation.hex}",
                    "url": f"{processor.HERE}/pay/{operation.hex}",
                }
            )
        for first in range(0, len(people), AT_ONCE):
            await work.session.execute(insert(Account), people[first : first + AT_ONCE])
        for first in range(0, len(pages), AT_ONCE):
            await work.session.execute(insert(Checkout), pages[first : first + AT_ONCE])


def _told(event: str, operation: UUID, secret: bytes, stamp: int) -> bytes:
    body = event.replace("OPERATION", operation.hex)
    signature = hmac.new(secret, f"{stamp}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={signature}"}
    return request("POST", "/hooks/stripe", headers, body)


PATHS = (Path("webhook", load, beside="payment"),)
