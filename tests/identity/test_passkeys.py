import json
from dataclasses import replace
from datetime import timedelta

import anyio
import msgspec
import pytest

from coop.clock import FixedClock
from coop.identity import accounts, passkeys
from coop.identity.accounts import Account
from coop.identity.passkeys import BadPasskey, LastWayIn, NoPasskeys, Passkey
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.authenticator import BACKED_UP, BACKUP_ELIGIBLE, PRESENT, VERIFIED, Authenticator, text
from tests.people import register


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, issuer="http://localhost:8000")


async def registration(units: Units, account: Account) -> str:
    async with units.open() as work:
        return await passkeys.begin_registration(
            work, purpose="add", account_id=account.id, handle=account.handle
        )


async def keep(units: Units, account: Account, response: str) -> Passkey:
    ceremony = await passkeys.take(units, response, purpose="add", account_id=account.id)
    async with units.open() as work:
        return await passkeys.add(work, account, ceremony, name="  My\tphone ")


async def enrolled(units: Units, account: Account, device: Authenticator) -> Passkey:
    return await keep(units, account, device.create(await registration(units, account)))


async def challenge(units: Units) -> str:
    async with units.open() as work:
        return await passkeys.begin_sign_in(work)


async def sign_in(units: Units, response: str) -> Passkey:
    ceremony = await passkeys.take(units, response, purpose="sign_in")
    async with units.open() as work:
        return await passkeys.verify(work, ceremony)


async def test_a_passkey_that_was_made_signs_in(units: Units) -> None:
    account = await register(units)
    device = Authenticator()
    key = await enrolled(units, account, device)
    device.counter += 1

    used = await sign_in(units, device.get(await challenge(units)))

    assert (used.id, used.account_id, used.name) == (key.id, account.id, "My phone")
    assert passkeys.methods(used) == ("hwk", "user", "mfa")


async def test_a_passkey_that_is_synced_needs_no_counter(units: Units) -> None:
    account = await register(units)
    device = Authenticator(flags=PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP, counter=0)
    await enrolled(units, account, device)

    for _ in range(2):
        used = await sign_in(units, device.get(await challenge(units)))

    assert passkeys.methods(used)[0] == "swk"


async def test_the_options_ask_for_verification_and_name_nobody(units: Units) -> None:
    options = json.loads(await challenge(units))

    assert options["userVerification"] == "required"
    assert options["rpId"] == "localhost"
    assert not options.get("allowCredentials")


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://localhost:8000.evil.example"},
        {"relying_party": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"cross_origin": True},
    ],
    ids=str,
)
async def test_a_ceremony_elsewhere_or_without_verification_is_refused(
    units: Units, wrong: dict[str, str | int | bool]
) -> None:
    account = await register(units)
    device = Authenticator()
    await enrolled(units, account, device)
    device.counter += 1
    options = await challenge(units)

    with pytest.raises(BadPasskey):
        await sign_in(units, replace(device, **wrong).get(options))
    with pytest.raises(BadPasskey):
        await enrolled(units, account, Authenticator(**wrong))


async def test_a_challenge_serves_once_even_when_the_answer_was_wrong(units: Units) -> None:
    account = await register(units)
    device = Authenticator(counter=0)
    await enrolled(units, account, device)
    right, wrong = await challenge(units), await challenge(units)

    await sign_in(units, device.get(right))
    with pytest.raises(BadPasskey):
        await sign_in(units, device.get(right))
    with pytest.raises(BadPasskey):
        await sign_in(units, replace(device, origin="https://evil.example").get(wrong))
    with pytest.raises(BadPasskey):
        await sign_in(units, device.get(wrong))


async def test_of_twenty_who_answer_one_challenge_at_once_one_signs_in(units: Units) -> None:
    account = await register(units)
    device = Authenticator(counter=0)
    await enrolled(units, account, device)
    response = device.get(await challenge(units))
    outcomes: list[bool] = []

    async def answer() -> None:
        try:
            await sign_in(units, response)
        except BadPasskey:
            outcomes.append(False)
        else:
            outcomes.append(True)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(answer)

    assert sum(outcomes) == 1


async def test_a_challenge_expires(units: Units, clock: FixedClock) -> None:
    account = await register(units)
    device = Authenticator(counter=0)
    await enrolled(units, account, device)
    options = await challenge(units)

    clock.advance(timedelta(minutes=5))

    with pytest.raises(BadPasskey):
        await sign_in(units, device.get(options))


async def test_a_challenge_of_ones_own_making_is_refused(units: Units) -> None:
    account = await register(units)
    device = Authenticator(counter=0)
    await enrolled(units, account, device)

    with pytest.raises(BadPasskey):
        await sign_in(units, device.get(json.dumps({"challenge": text(b"x" * 32), "rpId": "localhost"})))


async def test_a_challenge_for_one_purpose_or_person_serves_no_other(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    device = Authenticator()

    with pytest.raises(BadPasskey):
        await keep(units, eve, device.create(await registration(units, ada)))
    with pytest.raises(BadPasskey):
        await sign_in(units, device.create(await registration(units, ada)))


async def test_a_counter_that_stands_still_is_a_copy(units: Units) -> None:
    account = await register(units)
    device = Authenticator(counter=5)
    await enrolled(units, account, device)

    with pytest.raises(BadPasskey):
        await sign_in(units, device.get(await challenge(units)))


async def test_another_key_or_another_persons_handle_is_refused(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    device = Authenticator(counter=0)
    await enrolled(units, ada, device)

    other_key = Authenticator(counter=0, credential_id=device.credential_id, user_handle=ada.id.bytes)
    with pytest.raises(BadPasskey):
        await sign_in(units, other_key.get(await challenge(units)))
    with pytest.raises(BadPasskey):
        await sign_in(units, replace(device, user_handle=eve.id.bytes).get(await challenge(units)))


async def test_a_credential_belongs_to_one_account(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    device = Authenticator()
    await enrolled(units, ada, device)

    with pytest.raises(BadPasskey, match="in use"):
        await enrolled(units, eve, device)


@pytest.mark.parametrize(
    "response",
    [
        "",
        "{}",
        "[]",
        "null",
        "1e400",
        '{"response": []}',
        "[" * 15_000,
        '{"response": {"clientDataJSON": "é"}}',
        '{"response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiJBQSJ9"}}',
    ],
)
async def test_nonsense_is_refused(units: Units, response: str) -> None:
    with pytest.raises(BadPasskey):
        await sign_in(units, response)


async def test_a_bent_signature_or_attestation_is_refused(units: Units) -> None:
    account = await register(units)
    device = Authenticator(counter=0)
    for bend in ("", "AAAA", "o2NmbXRkbm9uZQ", 7, None, {}):
        made = json.loads(device.create(await registration(units, account)))
        made["response"]["attestationObject"] = bend
        with pytest.raises(BadPasskey):
            await keep(units, account, json.dumps(made))
    await enrolled(units, account, device)
    for part in ("signature", "authenticatorData", "userHandle"):
        for bend in ("", "AAAA", 7, None, {}):
            used = json.loads(device.get(await challenge(units)))
            used["response"][part] = bend
            with pytest.raises(BadPasskey):
                await sign_in(units, json.dumps(used))


async def test_the_last_way_in_is_never_removed(units: Units) -> None:
    account = await register(units)
    first = await enrolled(units, account, Authenticator())
    second = await enrolled(units, account, Authenticator())
    async with units.open() as work:
        (await accounts.hold(work, account.id)).password_digest = None
    outcomes: list[str] = []

    async def remove(key: Passkey) -> None:
        try:
            async with units.open() as work:
                await passkeys.remove(work, account.id, key.id)
        except LastWayIn:
            outcomes.append("kept")
        else:
            outcomes.append("removed")

    async with anyio.create_task_group() as group:
        group.start_soon(remove, first)
        group.start_soon(remove, second)

    assert sorted(outcomes) == ["kept", "removed"]


async def test_nobody_removes_another_persons_passkey(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    key = await enrolled(units, ada, Authenticator())

    with pytest.raises(passkeys.NoPasskey):
        async with units.open() as work:
            await passkeys.remove(work, eve.id, key.id)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8000", "http://[::1]:8000"])
def test_an_issuer_without_a_name_has_no_passkeys(issuer: str) -> None:
    assert passkeys.relying_party(Settings(issuer=issuer, demo=True)) is None


async def test_a_ceremony_at_a_bare_address_says_why_not(units: Units) -> None:
    bare = Units(msgspec.structs.replace(units.settings, issuer="http://127.0.0.1:8000"), units.clock)

    with pytest.raises(NoPasskeys):
        async with bare.open() as work:
            await passkeys.begin_sign_in(work)
    await bare.close()
