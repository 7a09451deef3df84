"""The renewal of a membership by its pages: signed in, and by the link in the letter that announces it."""

from datetime import timedelta
from uuid import uuid4

import pytest

from coop.billing.subscriptions import Subscription, planned
from coop.identity.accounts import Account
from coop.membership import renewal, renewal_links
from tests.till import Till, sandbox, till

__all__ = ["sandbox", "till"]


async def announced(till: Till) -> tuple[Account, str]:
    """Have a membership renew by itself, announce it, and return the path in the letter."""
    ada = await till.person()
    await till.pay(ada, automatic=True)
    till.clock.advance(timedelta(days=340))
    await renewal.remind_due(till.units, planned)
    (term,) = await till.terms_of(ada.id)
    return ada, renewal_links.path(till.units.settings, term.id)


@pytest.mark.parametrize(
    ("what", "amount", "now"), [("pause", "", "pause"), ("stop", "", "stop"), ("amount", "40", "renew")]
)
async def test_the_link_in_the_letter_works_signed_out_and_by_post_only(
    till: Till, what: str, amount: str, now: str
) -> None:
    _, path = await announced(till)
    async with till.visitor() as page:
        shown = await page.get(path)
        assert await till.count(Subscription, Subscription.wish == "renew") == 1
        done = await page.post(path, data={"what": what, "amount": amount, "key": uuid4().hex})
        after = await page.get(done.headers["location"])

    assert shown.status_code == after.status_code == 200
    assert "25" in shown.text
    assert done.status_code == 303
    assert await till.count(Subscription, Subscription.wish == now) == 1


async def test_links_that_open_nothing_are_answered_alike(till: Till) -> None:
    _, path = await announced(till)
    token = path.removeprefix("/renewal/")
    flipped = "A" if token[-2] != "A" else "B"
    async with till.visitor() as page:
        answers = [
            await page.get(f"/renewal/{wrong}")
            for wrong in (
                f"{token[:-2]}{flipped}{token[-1]}",
                "A" * len(token),
                "x",
                "ł",
                token[:-4],
                "A" * 101,
            )
        ]
        posted = await page.post("/renewal/x", data={"what": "stop", "key": uuid4().hex})
        # Renewed by other means, the letter's link has done its service.
        till.clock.advance(timedelta(days=26))
        await till.sandbox.settle()
        late = await page.get(path)

    assert {answer.status_code for answer in (*answers[:-1], posted, late)} == {404}
    assert answers[-1].status_code in {400, 404}
    assert await till.count(Subscription, Subscription.wish == "renew") == 1


async def test_whoever_holds_the_letter_cannot_raise_the_amount_far(till: Till) -> None:
    ada, path = await announced(till)
    async with till.visitor() as page:
        refused = await page.post(path, data={"what": "amount", "amount": "900", "key": uuid4().hex})
    async with till.visitor(ada) as page:
        done = await page.post(
            "/account/renewal", data={"what": "amount", "amount": "900", "key": uuid4().hex}
        )

    assert refused.status_code == 400
    assert "sign in first" in refused.text
    assert done.status_code == 303


@pytest.mark.parametrize("amount", ["", "0", "-5", "1e9", "٢٥", "0.10", "20000"])
async def test_an_amount_that_cannot_be_is_refused_beside_its_field(till: Till, amount: str) -> None:
    ada, _ = await announced(till)
    async with till.visitor(ada) as page:
        refused = await page.post(
            "/account/renewal", data={"what": "amount", "amount": amount, "key": uuid4().hex}
        )

    assert refused.status_code == 400
    assert 'id="amount-error"' in refused.text
