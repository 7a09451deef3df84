"""A Stripe account that had customers before: their subscriptions go on as they are, and nobody is charged twice."""

import csv
import json
import subprocess
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import stripe
from anyio import to_thread
from sqlalchemy import select

from coop.billing import reconciliation
from coop.billing.importing import carrying, from_stripe, held
from coop.billing.importing.carrying import Report
from coop.billing.importing.files import Place
from coop.billing.importing.held import ImportedMembership
from coop.billing.importing.judging import OUTCOMES, Options
from coop.billing.payments import Payment
from coop.billing.subscriptions import Subscription
from coop.cli.importing import plain
from coop.identity.accounts import Account
from coop.identity.verification import EmailVerified
from coop.ledger import DEFERRED_DUES, POOL
from coop.membership import standing
from tests import demo
from tests.billing.test_reconciliation import dashboard, kinds
from tests.till import Till

__all__ = ["dashboard"]


async def take_over(till: Till, *, apply: bool = True) -> Report:
    settings = till.units.settings
    place = Place(zone=settings.zone, money=settings.money)
    rows = from_stripe.read(till.gateway, place, till.clock.wall())
    return await carrying.carry(till.units, rows, Options(source="stripe", apply=apply))


async def subscribed(
    dashboard: stripe.StripeClient,
    handle: str,
    cents: int = 2500,
    *,
    interval: str = "year",
    email: bool = True,
) -> str:
    """Have another tool's customer subscribe."""
    product = await dashboard.v1.products.create_async({"name": "Membership"})
    customer = await dashboard.v1.customers.create_async(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
        | ({"email": f"{handle}@example.org"} if email else {})  # type: ignore[arg-type]  # as the library wants it
    )
    made = await dashboard.v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [
                {
                    "price_data": {
                        "currency": "usd",
                        "product": product.id,
                        "unit_amount": cents,
                        "recurring": {"interval": interval},  # type: ignore[typeddict-item]  # one of its words
                    }
                }
            ],
        }
    )
    return made.id


async def come(till: Till, handle: str) -> Account:
    person = await till.person(handle)
    async with till.units.open() as work:
        await held.on_verified(work, EmailVerified(account_id=person.id))
    return person


async def half_a_year_later(till: Till) -> None:
    """Let six whole months of what the old tool charged for pass."""
    await till.sandbox.settle()
    till.clock.advance(timedelta(days=185))


async def test_a_subscription_goes_on_as_it_is_and_renews_on_its_own_day(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await till.endow()
    name = await subscribed(dashboard, "ada", 3000)
    await half_a_year_later(till)

    rehearsed = await take_over(till, apply=False)
    first, second = await take_over(till), await take_over(till)
    ada = await come(till, "ada")

    assert dict(rehearsed.outcomes) == dict(first.outcomes) == {"new": 1}
    assert (first.owed.minor, first.renewals, dict(second.outcomes)) == (1250, 1, {"unchanged": 1})
    (term,) = await till.terms_of(ada.id)
    assert term.ends.date().isoformat() == "2027-03-02"
    async with till.units.read() as work:
        row = await work.session.get_one(Subscription, name)
    assert (row.account_id, row.amount.minor, row.wish) == (ada.id, 3000, "renew")
    # Nothing was charged by the import, and the next charge is the subscription's own.
    assert len(await till.sandbox.run(lambda desk: desk.where("charge"))) == 1
    till.clock.advance(timedelta(days=181))
    await till.sandbox.settle()
    assert len(await till.terms_of(ada.id)) == 2
    assert (await till.count(Payment), await till.balance(POOL)) == (1, 500)
    assert len(await till.sandbox.run(lambda desk: desk.where("charge"))) == 2


async def test_a_renewal_whose_owner_has_not_come_is_booked_and_waits_for_them(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await till.endow()
    await subscribed(dashboard, "ada", 3000)
    await half_a_year_later(till)
    await take_over(till)
    till.clock.advance(timedelta(days=181))
    await till.sandbox.settle()

    await reconciliation.run(till.units, till.gateway, thorough=True)
    await reconciliation.run(till.units, till.gateway, thorough=True)

    # The charge from before is the old tool's; that of the renewal is in the books, and no subscription is foreign.
    assert await kinds(till) == ["foreign_charge"]
    assert (await till.balance(DEFERRED_DUES), await till.balance(POOL)) == (2500, 500)
    ada = await come(till, "ada")
    (term,) = await till.terms_of(ada.id)
    assert (term.year, term.ends.date().isoformat()) == (2, "2028-03-02")
    async with till.units.read() as work:
        assert (await standing.of(work, ada.id)).state == "active"


async def test_who_paid_here_meanwhile_is_not_charged_by_the_old_renewal(
    till: Till, dashboard: stripe.StripeClient
) -> None:
    await till.endow()
    name = await subscribed(dashboard, "ada")
    await half_a_year_later(till)
    await take_over(till)
    ada = await till.person("ada")
    await till.pay(ada)

    async with till.units.open() as work:
        await held.on_verified(work, EmailVerified(account_id=ada.id))
    await reconciliation.run(till.units, till.gateway)

    present = await dashboard.v1.subscriptions.retrieve_async(name)
    assert present.cancel_at_period_end
    assert (await till.books())["MemberCredit"] == 1250
    async with till.units.read() as work:
        (kept,) = await work.session.scalars(select(ImportedMembership))
    assert (kept.state, kept.account_id) == ("credited", ada.id)


async def test_what_cannot_go_on_as_it_is_is_named(till: Till, dashboard: stripe.StripeClient) -> None:
    await subscribed(dashboard, "ada", interval="month")
    ended = await subscribed(dashboard, "bob")
    await dashboard.v1.subscriptions.cancel_async(ended)
    await subscribed(dashboard, "cyd", email=False)
    stopping = await subscribed(dashboard, "dee")
    await dashboard.v1.subscriptions.update_async(stopping, {"cancel_at_period_end": True})
    await till.pay(await till.person("eve"), automatic=True)

    report = await take_over(till)

    assert dict(report.outcomes) == {"not_yearly": 1, "ended": 1, "no_email": 1, "new": 1, "own": 1}
    assert report.renewals == 0
    await till.endow()


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_the_command_rehearses_first_and_its_report_is_harmless(till: Till, tmp_path: Path) -> None:
    file, listed = tmp_path / "members.csv", tmp_path / "report.csv"
    file.write_text(
        'email,paid_until,id\nada@example.org,2099-01-01,"=HYPERLINK(""http://evil"")"\n'
        "bob@example.org,2020-01-01,2\nnobody,2026-09-01,3\n",
        encoding="utf-8",
    )
    settings = till.units.settings
    names = ("issuer", "database_url", "secret_key", "stripe_api_base", "stripe_secret_key")
    environment = {f"COOP_{name.upper()}": str(getattr(settings, name)) for name in names}

    async def coop(*words: str) -> subprocess.CompletedProcess[str]:
        return await to_thread.run_sync(
            lambda: demo.process("import", *words, COOP_DEMO="true", **environment)
        )

    told = await coop("members", str(file), "--report", str(listed))
    again = await coop("members", str(file), "--report", str(listed))
    at_stripe = await coop("stripe", "--apply", "--json")

    assert told.returncode == 0, told.stderr
    assert "dry run" in told.stdout
    assert "line 4" in told.stdout
    with listed.open(encoding="utf-8", newline="") as written:
        rows = list(csv.DictReader(written))
    assert [(one["line"], one["outcome"]) for one in rows] == [
        ("2", "too_far"),
        ("3", "lapsed"),
        ("4", "bad_email"),
    ]
    assert rows[0]["id"].startswith("'=")
    assert listed.stat().st_mode & 0o077 == 0
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    jsonschema.validate(json.loads(at_stripe.stdout), {"type": "object", "required": ["applied", "outcomes"]})


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_of_a_report_is_a_formula(cell: str) -> None:
    assert plain(cell) == f"'{cell}"


def test_every_outcome_is_documented() -> None:
    documented = (demo.ROOT / "docs" / "imports.md").read_text(encoding="utf-8")
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in documented] == []
