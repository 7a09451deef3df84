"""Client assertions: RFC 7521, RFC 7523 (section 3), OpenID Connect Core (section 9)."""

import base64
import hmac
from datetime import timedelta
from uuid import uuid4

import anyio
import httpx
import msgspec
import pytest

from coop.authorization import client_assertions, client_keys, clients, expiry
from coop.authorization.client_assertions import BadAuthentication, InvalidClient, ProvenClient, UsedAssertion
from coop.authorization.client_keys import ClientKeys
from coop.clock import FixedClock
from coop.unit_of_work import Units
from tests.conftest import ISSUER, START
from tests.networks.receiver import Receiver, listening
from tests.protocol.signing_party import SigningParty, new_key, published, register_signing

TOKEN = "/oauth/token"


@pytest.fixture
async def signer(law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> SigningParty:
    del law
    return await register_signing(units, client, wire)


async def prove(
    units: Units,
    assertion: str,
    *,
    keys: ClientKeys | None = None,
    path: str = TOKEN,
    authorization: str | None = None,
    **form: str,
) -> ProvenClient:
    sent = {"client_assertion_type": client_assertions.TYPE, "client_assertion": assertion} | form
    keys = keys or ClientKeys(units.settings, units.clock)
    return await client_assertions.verify(units, keys, sent, path=path, authorization=authorization)


@pytest.mark.parametrize("algorithm", client_keys.ALGORITHMS)
@pytest.mark.usefixtures("law")
async def test_a_client_proves_itself_by_its_own_key(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient, algorithm: str
) -> None:
    signer = await register_signing(units, client, wire, algorithm=algorithm)

    proven = await prove(units, signer.assertion())

    assert str(proven.client_id) == signer.client_id


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": f"{ISSUER}/oauth/token"},
        {"aud": f"{ISSUER}/oauth/introspect"},
        {"aud": ["https://elsewhere.example", ISSUER]},
        {"exp": START.timestamp() + 3600.5},
        {"iat": None},
        {"nbf": int(START.timestamp()) + 20},
    ],
)
async def test_what_libraries_write_differently_is_accepted(
    units: Units, signer: SigningParty, changes: dict[str, object]
) -> None:
    assert await prove(units, signer.assertion(**changes), path="/oauth/introspect")


async def test_a_key_without_a_name_is_found(units: Units, signer: SigningParty) -> None:
    assert await prove(units, signer.assertion(header={"kid": None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"sub": None},
        {"sub": 7},
        {"iss": None},
        {"aud": "https://elsewhere.example"},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}/oauth/introspect"},
        {"aud": []},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": int(START.timestamp())},
        {"exp": int(START.timestamp()) + 4000},
        {"exp": 1e300},
        {"nbf": int(START.timestamp()) + 60},
        {"iat": int(START.timestamp()) + 60},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 256},
        {"jti": 7},
    ],
)
async def test_an_assertion_that_lacks_something_proves_nothing(
    units: Units, signer: SigningParty, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion(**changes))


async def test_somebody_elses_signature_proves_nothing(units: Units, signer: SigningParty) -> None:
    signer.key = new_key()

    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion())


async def test_a_key_of_another_name_proves_nothing(units: Units, signer: SigningParty) -> None:
    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion(header={"kid": "second"}))


async def test_no_signature_and_a_shared_secret_are_no_signatures(units: Units, signer: SigningParty) -> None:
    good = signer.assertion()
    payload = good.split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    # The classic confusion: the public key taken for a secret.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
    mac = hmac.digest(signer.key.as_pem(private=False), f"{head}.{payload}".encode(), "sha256")
    confused = f"{head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    for forged in (f"{none}.{payload}.", confused):
        with pytest.raises(InvalidClient):
            await prove(units, forged)


async def test_an_extension_that_must_be_understood_is_not(units: Units, signer: SigningParty) -> None:
    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion(header={"crit": ["b64"], "b64": True}))


@pytest.mark.parametrize(
    "assertion",
    ["", ".", "..", "a.b.c", "ü.ü.ü", "e30.e30.", "e30." + "W1tb" * 3000 + ".e30", "bnVsbA.bnVsbA.bnVsbA"],
)
async def test_what_is_no_token_at_all_is_refused(units: Units, assertion: str) -> None:
    with pytest.raises((InvalidClient, BadAuthentication)):
        await prove(units, assertion)


async def test_an_unpaired_surrogate_in_an_identifier_is_refused(units: Units, signer: SigningParty) -> None:
    signer.key = None
    head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(b'{"sub":"\\ud800"}').rstrip(b"=").decode()

    with pytest.raises(InvalidClient):
        await prove(units, f"{head}.{body}.AAAA")


async def test_another_method_than_the_registered_one_is_refused(units: Units, signer: SigningParty) -> None:
    async with units.open() as work:
        client = await clients.find(work, signer.client_id)
        assert client is not None
        client.auth_method, client.secret_digest = "client_secret_basic", clients.digest("secret")

    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion())


async def test_the_client_may_have_agreed_on_one_algorithm(units: Units, signer: SigningParty) -> None:
    async with units.open() as work:
        client = await clients.find(work, signer.client_id)
        assert client is not None
        client.details = {"token_endpoint_auth_signing_alg": "EdDSA"}

    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion())


async def test_a_client_id_beside_the_assertion_is_the_same(units: Units, signer: SigningParty) -> None:
    assert await prove(units, signer.assertion(), client_id=signer.client_id)
    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion(), client_id=str(uuid4()))


async def test_two_ways_at_once_are_refused(units: Units, signer: SigningParty) -> None:
    with pytest.raises(BadAuthentication):
        await prove(units, signer.assertion(), client_secret="secret")
    with pytest.raises(BadAuthentication):
        await prove(units, signer.assertion(), authorization="Basic eA==")


async def test_half_an_assertion_is_refused(units: Units, signer: SigningParty) -> None:
    keys = ClientKeys(units.settings, units.clock)
    for form in (
        {"client_assertion": signer.assertion()},
        {"client_assertion_type": client_assertions.TYPE},
    ):
        assert client_assertions.presented(form)
        with pytest.raises(BadAuthentication):
            await client_assertions.verify(units, keys, form, path=TOKEN, authorization=None)


async def test_another_type_of_assertion_is_not_understood(units: Units, signer: SigningParty) -> None:
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    with pytest.raises(InvalidClient):
        await prove(units, signer.assertion(), client_assertion_type=saml)


async def test_of_twenty_at_once_one_passes(units: Units, signer: SigningParty) -> None:
    proven = await prove(units, signer.assertion())
    passed = []

    async def present() -> None:
        try:
            async with units.open() as work:
                await client_assertions.use(work, proven)
            passed.append(proven)
        except InvalidClient:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(present)

    assert len(passed) == 1


async def test_what_was_rolled_back_was_not_used(units: Units, signer: SigningParty) -> None:
    proven = await prove(units, signer.assertion())

    async def fail_afterwards() -> None:
        async with units.open() as work:
            await client_assertions.use(work, proven)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_afterwards()

    async with units.open() as work:
        await client_assertions.use(work, proven)


async def test_two_clients_may_choose_the_same_identifier(
    units: Units, signer: SigningParty, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    second = await register_signing(units, client, wire, host="second.example")
    for party in (signer, second):
        proven = await prove(units, party.assertion(jti="the same"))
        async with units.open() as work:
            await client_assertions.use(work, proven)


async def test_used_assertions_are_forgotten_long_after_they_expired(
    units: Units, signer: SigningParty, clock: FixedClock
) -> None:
    proven = await prove(units, signer.assertion())
    async with units.open() as work:
        await client_assertions.use(work, proven)
    key = (proven.client_id, proven.jti_digest)

    for days, kept in ((1, True), (8, False)):
        clock.advance(timedelta(days=days))
        await expiry.forget_due(units)
        async with units.read() as work:
            assert (await work.session.get(UsedAssertion, key) is not None) is kept


@pytest.fixture
async def publisher(
    law: None, units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> SigningParty:
    """Return a client whose keys are at an address that each test fills."""
    del law
    return await register_signing(units, client, wire, jwks_uri="http://127.0.0.1:9/keys")


async def publish_at(units: Units, publisher: SigningParty, receiver: Receiver) -> ClientKeys:
    receiver.status, receiver.body = 200, msgspec.json.encode(published(publisher.key))
    async with units.open() as work:
        client = await clients.find(work, publisher.client_id)
        assert client is not None
        client.jwks_uri = f"{receiver.url}/keys"
    return ClientKeys(units.settings, units.clock)


async def test_published_keys_are_fetched_once_and_kept(units: Units, publisher: SigningParty) -> None:
    async with listening() as receiver:
        keys = await publish_at(units, publisher, receiver)
        for _ in range(3):
            assert await prove(units, publisher.assertion(), keys=keys)

    assert len(receiver.received) == 1


async def test_a_fresh_key_is_found_by_its_name_and_names_made_up_call_for_nothing(
    units: Units, publisher: SigningParty, clock: FixedClock
) -> None:
    async with listening() as receiver:
        keys = await publish_at(units, publisher, receiver)
        assert await prove(units, publisher.assertion(), keys=keys)
        publisher.key = new_key(kid="second")
        receiver.body = msgspec.json.encode(published(publisher.key))
        assert await prove(units, publisher.assertion(), keys=keys)
        assert len(receiver.received) == 2

        for n in range(5):
            with pytest.raises(InvalidClient):
                await prove(units, publisher.assertion(header={"kid": f"made up {n}"}), keys=keys)
        assert len(receiver.received) == 3

        clock.advance(client_keys.REST)
        publisher.key = new_key(kid="third")
        receiver.body = msgspec.json.encode(published(publisher.key))
        assert await prove(units, publisher.assertion(exp=int(START.timestamp()) + 90), keys=keys)

    assert len(receiver.received) == 4


@pytest.mark.parametrize("kid", ["first", None])
async def test_a_fresh_key_of_an_old_name_is_found(
    units: Units, publisher: SigningParty, kid: str | None
) -> None:
    async with listening() as receiver:
        keys = await publish_at(units, publisher, receiver)
        assert await prove(units, publisher.assertion(header={"kid": kid}), keys=keys)
        publisher.key = new_key()
        receiver.body = msgspec.json.encode(published(publisher.key))
        assert await prove(units, publisher.assertion(header={"kid": kid}), keys=keys)
        assert len(receiver.received) == 2

        # After that the address is left alone for a while, whatever is signed under that name.
        publisher.key = new_key()
        for _ in range(5):
            with pytest.raises(InvalidClient):
                await prove(units, publisher.assertion(header={"kid": kid}), keys=keys)

    assert len(receiver.received) == 2


async def test_a_withdrawn_key_is_forgotten_in_minutes(
    units: Units, publisher: SigningParty, clock: FixedClock
) -> None:
    async with listening() as receiver:
        keys = await publish_at(units, publisher, receiver)
        assert await prove(units, publisher.assertion(), keys=keys)
        receiver.body = b'{"keys": []}'
        clock.advance(client_keys.KEPT)

        with pytest.raises(InvalidClient):
            await prove(units, publisher.assertion(exp=int(START.timestamp()) + 600), keys=keys)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"keys": []}'),
        (302, b""),
        (200, b""),
        (200, b"[]"),
        (200, b'{"keys": 7}'),
        (200, b'{"keys": [7]}'),
        (200, b'{"keys": ' + b"[" * 20_000),
        (200, b'{"keys": [' + b" " * 70_000 + b"]}"),
        (200, b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}'),
    ],
)
async def test_an_address_that_publishes_nothing_useful_proves_nothing(
    units: Units, publisher: SigningParty, status: int, body: bytes
) -> None:
    async with listening() as receiver:
        keys = await publish_at(units, publisher, receiver)
        receiver.status, receiver.body = status, body

        with pytest.raises(InvalidClient):
            await prove(units, publisher.assertion(), keys=keys)


async def test_private_targets_are_refused_without_a_connection(
    units: Units, publisher: SigningParty
) -> None:
    async with listening() as receiver:
        await publish_at(units, publisher, receiver)
        guarded = ClientKeys(msgspec.structs.replace(units.settings, private_targets=False), units.clock)

        with pytest.raises(InvalidClient):
            await prove(units, publisher.assertion(), keys=guarded)

    assert not receiver.received


async def test_only_so_many_addresses_are_remembered(units: Units) -> None:
    keys = ClientKeys(units.settings, units.clock)

    for n in range(1010):
        await keys.of(f"ftp://{n}.example/", "ES256", None)

    assert len(keys._published) == 1000
