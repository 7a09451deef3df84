"""The life of signing keys; docs/authorization.md, Keys."""

import contextlib
from asyncio import gather
from datetime import timedelta

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from coop.authorization import claims, keys, rotation, signing
from coop.authorization.keys import KeyState, SigningKey
from coop.authorization.signing import NotOurs
from coop.clock import FixedClock
from coop.errors import Unavailable
from coop.settings import Settings
from coop.unit_of_work import Units

MINUTE = timedelta(minutes=1)


async def living(units: Units, algorithm: str = "ES256") -> dict[str, list[str]]:
    """Return the keys of one algorithm by their state."""
    async with units.read() as work:
        found: dict[str, list[str]] = {}
        for key in await rotation.listed(work):
            if key.algorithm == algorithm:
                found.setdefault(key.state, []).append(key.kid)
    return found


async def published(units: Units) -> set[str]:
    async with units.read() as work:
        return {key["kid"] for key in await keys.published(work)}


async def signed(units: Units, algorithm: str = "ES256") -> str:
    async with units.read() as work:
        return await keys.sign(work, algorithm, {"iss": "us"})


async def kid_in_use(units: Units) -> str | None:
    return signing.kid_of(await signed(units))


async def test_a_key_is_followed_by_one_that_was_known_for_a_day(units: Units, clock: FixedClock) -> None:
    first = await kid_in_use(units)
    clock.advance(rotation.PERIOD - rotation.AHEAD - MINUTE)
    await rotation.rotate_due(units)
    too_early = await living(units)

    clock.advance(MINUTE)
    await rotation.rotate_due(units)
    (following,) = (await living(units))["next"]
    announced = await published(units), await kid_in_use(units)
    clock.advance(rotation.AHEAD - MINUTE)
    await rotation.rotate_due(units)
    just_before = await kid_in_use(units)
    clock.advance(MINUTE)
    await rotation.rotate_due(units)

    assert too_early == {"active": [first]}
    assert {first, following} <= announced[0]
    assert announced[1] == just_before == first
    assert await kid_in_use(units) == following
    assert await living(units) == {"active": [following], "past": [first]}


async def test_a_past_key_is_published_until_nothing_of_it_is_valid_and_then_destroyed(
    units: Units, clock: FixedClock
) -> None:
    first = await kid_in_use(units)
    await rotation.rotate(units, "ES256")
    clock.advance(rotation.SOONEST)
    await rotation.rotate_due(units)

    clock.advance(claims.ID_TOKEN_LIFETIME + MINUTE)
    await rotation.rotate_due(units)
    while_valid = await published(units)
    clock.advance(rotation.OVERLAP)
    await rotation.rotate_due(units)

    assert first in while_valid
    assert first not in await published(units)
    async with units.read() as work:
        key = await work.session.get_one(SigningKey, first)
    assert (key.state, key.sealed) == (KeyState.RETIRED, b"")


async def test_a_hint_that_a_retired_key_signed_is_still_recognised(units: Units, clock: FixedClock) -> None:
    old = await signed(units)
    await rotation.rotate(units, "ES256")
    for wait in (rotation.SOONEST, rotation.OVERLAP):
        clock.advance(wait)
        await rotation.rotate_due(units)

    async with units.read() as work:
        assert (await keys.recognise(work, old)).claims == {"iss": "us"}
    assert signing.kid_of(old) not in await published(units)


async def test_a_commanded_successor_is_known_for_more_than_an_hour(units: Units, clock: FixedClock) -> None:
    following = await rotation.rotate(units, "ES256")

    assert following.activates_at - clock.wall() > timedelta(hours=1)
    clock.advance(timedelta(minutes=64))
    await rotation.rotate_due(units)
    assert (await living(units))["next"] == [following.kid]
    clock.advance(MINUTE)
    await rotation.rotate_due(units)
    assert await kid_in_use(units) == following.kid


async def test_a_command_hastens_the_successor_that_waits_already(units: Units, clock: FixedClock) -> None:
    clock.advance(rotation.PERIOD - rotation.AHEAD)
    await rotation.rotate_due(units)
    (waiting,) = (await living(units))["next"]
    clock.advance(timedelta(hours=3))

    following = await rotation.rotate(units, "ES256")

    assert (following.kid, following.activates_at) == (waiting, clock.wall())


async def test_no_key_signs_before_clients_could_know_it_whatever_its_row_says(
    units: Units, clock: FixedClock
) -> None:
    first = await kid_in_use(units)
    await rotation.rotate(units, "ES256")
    async with units.open() as work:
        await work.session.execute(update(SigningKey).values(activates_at=clock.wall()))

    async with units.open() as work:
        assert not await rotation.promote(work, "ES256")
    assert await kid_in_use(units) == first


async def test_of_many_workers_that_rotate_at_once_one_makes_the_next_key(
    units: Units, clock: FixedClock
) -> None:
    await gather(*(rotation.rotate(units, "ES256") for _ in range(8)))
    announced = await living(units)
    clock.advance(rotation.SOONEST)

    async def promote() -> bool:
        async with units.open() as work:
            return await rotation.promote(work, "ES256")

    promoted = await gather(*(promote() for _ in range(8)))

    assert sum(promoted) == 1
    assert await living(units) == {"active": announced["next"], "past": announced["active"]}


async def test_a_rotation_that_is_interrupted_leaves_the_active_key_and_can_be_taken_up_again(
    units: Units, clock: FixedClock
) -> None:
    first = await kid_in_use(units)
    following = await rotation.rotate(units, "ES256")
    clock.advance(rotation.SOONEST)

    with contextlib.suppress(ZeroDivisionError):
        async with units.open() as work:
            assert await rotation.promote(work, "ES256")
            raise ZeroDivisionError
    interrupted = await kid_in_use(units)
    await rotation.rotate_due(units)

    assert interrupted == first
    assert await kid_in_use(units) == following.kid


async def test_logins_go_on_while_keys_change(units: Units, clock: FixedClock) -> None:
    await rotation.rotate(units, "ES256")
    clock.advance(rotation.SOONEST)

    async def turn() -> None:
        await rotation.rotate_due(units)
        await rotation.replace(units, "ES256")

    async def log_in() -> str:
        return await signed(units)

    # Whoever finds no active key raises here.
    told = await gather(turn(), *(log_in() for _ in range(40)), turn(), *(log_in() for _ in range(40)))

    assert len([token for token in told if token]) == 80
    assert len((await living(units))["active"]) == 1


async def test_a_key_in_wrong_hands_is_replaced_at_once_and_nothing_of_it_is_believed(units: Units) -> None:
    forged = await signed(units)
    await rotation.rotate(units, "ES256")
    before = await published(units)

    fresh = await rotation.replace(units, "ES256")

    assert await kid_in_use(units) == fresh
    assert await published(units) & before == {
        kid for state in ("RS256", "EdDSA") for kid in (await living(units, state))["active"]
    }
    async with units.read() as work:
        with pytest.raises(NotOurs):
            await keys.recognise(work, forged)
        revoked = await work.session.scalars(
            select(SigningKey.sealed).where(SigningKey.state == KeyState.REVOKED)
        )
        assert set(revoked) == {b""}


async def test_another_process_signs_with_the_new_key_from_its_next_token_on(
    units: Units, settings: Settings, clock: FixedClock
) -> None:
    elsewhere = Units(settings, clock)
    await kid_in_use(elsewhere)

    fresh = await rotation.replace(units, "ES256")

    assert await kid_in_use(elsewhere) == fresh
    await elsewhere.close()


async def test_without_an_active_key_nothing_is_signed(units: Units) -> None:
    async with units.open() as work:
        await work.session.execute(update(SigningKey).values(state=KeyState.REVOKED, sealed=b""))

    with pytest.raises(Unavailable):
        await signed(units)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", signing.ALGORITHMS)
async def test_signatures_of_each_algorithm_verify_by_the_published_keys(
    units: Units, algorithm: str
) -> None:
    told = {"iss": "us", "groups": ["coop-members"], "zażółć": 1, "nested": {"a": None}}
    async with units.read() as work:
        token = await keys.sign(work, algorithm, told, kind="at+jwt")
        public = KeySet.import_key_set({"keys": await keys.published(work)})

        read = jwt.decode(token, public, algorithms=[algorithm])
        ours = await keys.recognise(work, token)

    assert read.claims == ours.claims == told
    assert read.header == {"alg": algorithm, "kid": signing.kid_of(token), "typ": ours.kind}
    assert ours.kind == "at+jwt"


async def test_what_we_did_not_sign_is_not_recognised(units: Units) -> None:
    header, body, signature = (await signed(units)).split(".")
    strange = signing.opened("ES256", "x", signing.generate("ES256").as_pem(private=True))
    _, _, foreign = strange.jwt({"iss": "us"}, kind="JWT").split(".")

    async with units.read() as work:
        for token in (
            f"{header}.{body}.{foreign}",
            f"{header}.{body}.",
            f"{header}.{signature}.{body}",
            "",
            "ü",
        ):
            with pytest.raises(NotOurs):
                await keys.recognise(work, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "retired"},
        {"state": "past", "retires_at": None},
        {"state": "active", "sealed": b""},
        {"state": "lost"},
    ],
)
async def test_the_database_itself_keeps_the_states_apart(units: Units, changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        async with units.open() as work:
            await work.session.execute(
                update(SigningKey).where(SigningKey.algorithm == "ES256").values(**changes)
            )


async def test_the_published_keys_are_read_every_few_seconds_at_most(units: Units, clock: FixedClock) -> None:
    shelf = keys.PublishedKeys(units)
    before = await shelf.document()
    await rotation.replace(units, "ES256")

    at_once = await shelf.document()
    clock.advance(keys.FRESH)

    assert at_once == before
    assert {key["kid"] for key in msgspec.json.decode(await shelf.document())["keys"]} == await published(
        units
    )


async def test_the_doctor_is_told_of_keys_that_are_missing_overdue_or_sealed_under_another_secret(
    units: Units, settings: Settings, clock: FixedClock
) -> None:
    async with units.read() as work:
        assert await rotation.faults(work) == []
    strange = Units(msgspec.structs.replace(settings, secret_key="00" * 32), clock)
    async with strange.read() as work:
        sealed = await rotation.faults(work)
    await strange.close()
    clock.advance(rotation.PERIOD + rotation.LATE + MINUTE)
    async with units.read() as work:
        overdue = await rotation.faults(work)
    async with units.open() as work:
        await work.session.execute(update(SigningKey).values(state=KeyState.REVOKED, sealed=b""))
        missing = await rotation.faults(work)

    assert [len(found) for found in (sealed, overdue, missing)] == [3, 3, 3]
    assert "secret_key" in sealed[0]
    assert "should have been rotated" in overdue[0]
    assert "no active ES256 key" in missing[0]


async def test_the_jwks_says_for_how_long_it_may_be_kept(wire: httpx.AsyncClient) -> None:
    answer = await wire.get("/oauth/jwks")

    seconds = int(answer.headers["cache-control"].rpartition("=")[2])
    assert timedelta(seconds=seconds) + keys.FRESH < rotation.SOONEST
    assert answer.headers["content-type"] == "application/json"
