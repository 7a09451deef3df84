"""Where a browser may be sent: identity.md, refusals 1 and 16; RFC 9700, section 2.1; RFC 8252, section 7.3."""

import httpx
import pytest

from coop.unit_of_work import Units
from tests.protocol.relying_party import RelyingParty, answer_of, register

NEARLY = [
    "https://lantern.example/%63allback",
    "https://lantern.example/callback%2f",
    "https://lantern.example/callback%23fragment",
    "https://lantern.example/callback?",
    "https://lantern.example\\@evil.example/callback",
    "https://lantern.example./callback",
    " https://lantern.example/callback",
    "https://lantern.example/callback https://evil.example/",
    "https:lantern.example/callback",
    "data:text/html,x",
    "https://lantern.example/callback/",
    "https://lantern.example/callback?added=1",
    "https://lantern.example/Callback",
    "https://LANTERN.example/callback",
    "https://lantern.example/x/../callback",
    "https://lantern.example/callback#fragment",
    "https://lantern.example.evil.example/callback",
    "https://lantern.example@evil.example/callback",
    "https://evil@lantern.example/callback",
    "https://lantern.example:443/callback",
    "http://lantern.example/callback",
    "//lantern.example/callback",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("uri", NEARLY)
@pytest.mark.usefixtures("ada")
async def test_an_address_that_is_nearly_registered_gets_a_page_and_no_redirect(
    party: RelyingParty, uri: str
) -> None:
    answer = await party.authorize(redirect_uri=uri)

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.usefixtures("ada")
async def test_no_address_at_all_gets_a_page(party: RelyingParty) -> None:
    answer = await party.authorize(redirect_uri=None)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("client_id", ["unknown", "", "0" * 5000, "{00000000-0000-0000-0000-000000000000}"])
@pytest.mark.usefixtures("ada")
async def test_an_unknown_client_gets_a_page_and_no_redirect(party: RelyingParty, client_id: str) -> None:
    answer = await party.authorize(client_id=client_id)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.usefixtures("ada")
async def test_a_client_id_has_one_spelling(party: RelyingParty) -> None:
    answer = await party.authorize(client_id=party.client_id.upper())

    assert answer.status_code == 400


@pytest.mark.usefixtures("ada")
async def test_a_redirect_uri_given_twice_gets_a_page(party: RelyingParty, client: httpx.AsyncClient) -> None:
    pairs = [*party.parameters().items(), ("redirect_uri", party.redirect_uri)]

    answer = await client.get("/oauth/authorize", params=httpx.QueryParams(pairs))

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("name", ["scope", "state", "nonce", "prompt", "code_challenge", "anything"])
@pytest.mark.usefixtures("ada")
async def test_any_other_parameter_given_twice_goes_back_as_an_error(
    party: RelyingParty, client: httpx.AsyncClient, name: str
) -> None:
    pairs = [*party.parameters().items(), (name, "once"), (name, "twice")]

    answer = await client.get("/oauth/authorize", params=httpx.QueryParams(pairs))

    assert answer_of(answer)["error"] == "invalid_request"


@pytest.mark.usefixtures("ada", "law")
async def test_a_registered_query_string_is_kept(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    party = await register(units, client, wire, redirect_uri="https://lantern.example/ajax?action=openid")

    answer = await party.agree(await party.authorize())

    assert answer.headers["location"].startswith("https://lantern.example/ajax?action=openid&code=")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:49152/callback", "http://127.0.0.1/callback"])
@pytest.mark.usefixtures("ada")
async def test_a_native_application_picks_its_port_on_loopback(phone: RelyingParty, uri: str) -> None:
    answer = await phone.agree(await phone.authorize(redirect_uri=uri))

    assert answer.headers["location"].startswith(f"{uri}?code=")


@pytest.mark.usefixtures("ada", "law")
async def test_it_may_listen_on_ipv6_as_well(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    phone = await register(
        units, client, wire, auth_method="none", redirect_uri="http://[::1]/callback?app=1"
    )

    answer = await phone.agree(await phone.authorize(redirect_uri="http://[::1]:49152/callback?app=1"))

    assert answer.headers["location"].startswith("http://[::1]:49152/callback?app=1&code=")
    for uri in (
        "http://[::1]:49152/callback",
        "http://[::2]:49152/callback?app=1",
        "http://127.0.0.1:1/callback?app=1",
    ):
        assert (await phone.authorize(redirect_uri=uri)).status_code == 400


@pytest.mark.usefixtures("ada", "law")
async def test_a_web_application_has_the_one_port_that_it_registered(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    party = await register(units, client, wire, redirect_uri="http://127.0.0.1:9000/callback")

    assert (await party.authorize()).status_code == 200
    assert (await party.authorize(redirect_uri="http://127.0.0.1:9001/callback")).status_code == 400


@pytest.mark.usefixtures("ada", "law")
async def test_an_applications_own_scheme_is_matched_exactly(
    units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient
) -> None:
    phone = await register(units, client, wire, auth_method="none", redirect_uri="example.lantern:/callback")

    answer = await phone.agree(await phone.authorize())

    assert answer.headers["location"].startswith("example.lantern:/callback?code=")
    for uri in (
        "example.lantern:/callback/x",
        "example.lantern://callback",
        "example.lantern.evil:/callback",
    ):
        assert (await phone.authorize(redirect_uri=uri)).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://127.0.0.1.evil.example:80/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:0/callback",
        "http://localhost:49152/callback",
        "https://127.0.0.1:49152/callback",
    ],
)
@pytest.mark.usefixtures("ada")
async def test_a_free_port_frees_nothing_else(phone: RelyingParty, uri: str) -> None:
    assert (await phone.authorize(redirect_uri=uri)).status_code == 400


@pytest.mark.usefixtures("ada")
async def test_the_host_header_reaches_no_address(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    answer = await party.authorize()
    assert answer.status_code == 200

    stranger = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    metadata = await wire.get("/.well-known/openid-configuration", headers=stranger)
    away = await wire.get("/oauth/authorize", params=party.parameters(), headers=stranger)

    assert "evil.example" not in metadata.text
    assert "evil.example" not in away.headers["location"]
    assert away.headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "entitlements"}, "invalid_scope"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://lantern.example/request"}, "request_uri_not_supported"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        # The pages of sign-in and dues could not bring it back.
        ({"claims": f'{{"userinfo": {{"{"c" * 8000}": null}}}}'}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"nonce": "n" * 1001}, "invalid_request"),
        ({"id_token_hint": "e30.e30."}, "invalid_request"),
    ],
)
@pytest.mark.usefixtures("ada")
async def test_what_the_client_got_wrong_goes_back_to_it(
    party: RelyingParty, changes: dict[str, str | None], error: str
) -> None:
    told = answer_of(await party.authorize(**changes))

    assert told["error"] == error
    assert told["state"] == "a state"
    assert told["iss"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "query",
    ["client_id=%ff%fe", "client_id=%00", "a=" + "b" * 20_000, "&".join(f"a{n}=1" for n in range(300))],
)
async def test_a_query_that_cannot_be_read_gets_a_page(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/oauth/authorize?{query}")

    assert answer.status_code == 400


async def test_a_request_may_come_as_a_form_from_the_network(
    party: RelyingParty, wire: httpx.AsyncClient
) -> None:
    answer = await wire.post(
        "/oauth/authorize",
        data=party.parameters(),
        headers={"Origin": "https://lantern.example", "Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/oauth/authorize?response_type=code&")


@pytest.mark.usefixtures("ada")
async def test_what_a_form_holds_arrives_whole(party: RelyingParty, wire: httpx.AsyncClient) -> None:
    # Browsers write such characters as %23; programs need not (RFC 3986 has them end a query, a form does not).
    form = httpx.QueryParams(party.parameters(state="STATE")).__str__().replace("STATE", 'a#b "<c>')
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    on = await wire.post("/oauth/authorize", content=form.encode(), headers=kind)
    page = await party.http.get(on.headers["location"])

    assert answer_of(await party.agree(page))["state"] == 'a#b "<c>'
