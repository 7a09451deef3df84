import httpx

from coop.clock import FixedClock
from coop.mail import Letter, Mailbox
from coop.unit_of_work import Units


async def test_a_letter_is_kept_once_and_shown(
    units: Units, clock: FixedClock, client: httpx.AsyncClient
) -> None:
    mailbox = Mailbox(units.writer, clock)
    letter = Letter(
        to="ada@example.org", subject="Your <receipt>", body="Open http://127.0.0.1:8000/law", key="k1"
    )
    await mailbox.send(letter)
    await mailbox.send(letter)

    listed = await client.get("/mailbox", params={"to": "Ada@example.org"})
    shown = await client.get("/mailbox/1")

    assert listed.text.count("Your &lt;receipt&gt;") == 1
    assert '<a href="http://127.0.0.1:8000/law"' in shown.text


async def test_another_address_has_no_letters(
    units: Units, clock: FixedClock, client: httpx.AsyncClient
) -> None:
    await Mailbox(units.writer, clock).send(
        Letter(to="ada@example.org", subject="Receipt", body=".", key="k1")
    )

    answer = await client.get("/mailbox", params={"to": "bob@example.org"})

    assert "Receipt" not in answer.text


async def test_a_letter_that_does_not_exist_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/mailbox/9")).status_code == 404
    assert (await client.get(f"/mailbox/{2**70}")).status_code == 404
