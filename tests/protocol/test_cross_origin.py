"""Software in somebody's browser: OpenID Connect Core, section 5.3.1; OAuth for browser-based applications; the Fetch standard."""

import httpx
import pytest

from api.security import CROSS_ORIGIN
from tests.protocol.relying_party import RelyingParty

ELSEWHERE = {"Origin": "https://application.example"}
PREFLIGHT = ELSEWHERE | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


@pytest.mark.parametrize("path", sorted(CROSS_ORIGIN))
async def test_a_browser_that_asks_beforehand_may_go_on(wire: httpx.AsyncClient, path: str) -> None:
    answer = await wire.options(path, headers=PREFLIGHT)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == CROSS_ORIGIN[path]
    assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type"
    # Never with cookies: the star and that header exclude each other.
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/register", "/oauth/authorize", "/sign-in"])
async def test_nothing_else_is_open_to_other_sites_pages(wire: httpx.AsyncClient, path: str) -> None:
    asked = await wire.options(path, headers=PREFLIGHT)
    answer = await wire.get(path, headers=ELSEWHERE)

    for each in (asked, answer):
        assert not [name for name in each.headers if name.startswith("access-control-")]
        assert each.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.usefixtures("ada")
async def test_a_page_reads_tokens_claims_and_refusals(phone: RelyingParty, wire: httpx.AsyncClient) -> None:
    wire.headers.update(ELSEWHERE)
    tokens = await phone.tokens()
    answers = [
        await phone.redeem("coop_ac_unknown"),
        await phone.userinfo(tokens["access_token"]),
        await phone.userinfo("unknown"),
        await wire.get("/oauth/userinfo", params={"access_token": "x"}),
        await wire.post("/oauth/token", json={}),
        await phone.refresh(tokens["refresh_token"]),
        await phone.post("/oauth/revoke", token=tokens["refresh_token"]),
        await wire.get("/oauth/token"),
    ]

    assert [a.status_code for a in answers] == [400, 200, 401, 400, 400, 200, 200, 405]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]
