"""A relying party in Python that nobody here wrote: Authlib's own client, which shares no code with the endpoints."""

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

from tests import people
from tests.protocol.relying_party import RelyingParty, register
from tests.service import Service

VERIFIER = "authlib-holds-this-verifier-of-enough-characters-1234567890"


@pytest.mark.parametrize("auth_method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
async def test_authlibs_client_walks_the_whole_way(service: Service, auth_method: str) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "mine"})
    signs = auth_method == "private_key_jwt"
    facts = {"jwks": {"keys": [key.as_dict(private=False)]}} if signs else {}
    async with httpx.AsyncClient(base_url=service.issuer) as browser:
        await people.signed_in_client(browser, service.units)
        party = await register(service.units, browser, browser, auth_method=auth_method, **facts)
        async with AsyncOAuth2Client(
            party.client_id,
            key if signs else party.secret,
            token_endpoint_auth_method=auth_method,
            revocation_endpoint_auth_method=auth_method,
            redirect_uri=party.redirect_uri,
            scope="openid profile offline_access",
            code_challenge_method="S256",
        ) as client:
            if signs:
                client.register_client_auth_method(PrivateKeyJWT(alg="ES256", headers={"kid": "mine"}))
            await walk(party, client)


async def walk(party: RelyingParty, client: AsyncOAuth2Client) -> None:
    """Sign in, read, refresh, introspect, revoke, all by the addresses of the discovery document."""
    told = (await party.http.get("/.well-known/openid-configuration")).json()
    address, state = client.create_authorization_url(told["authorization_endpoint"], code_verifier=VERIFIER)
    answer = await party.agree(await party.http.get(address))

    token = await client.fetch_token(
        told["token_endpoint"],
        authorization_response=answer.headers["location"],
        state=state,
        code_verifier=VERIFIER,
    )
    userinfo = (await client.get(told["userinfo_endpoint"])).json()
    fresh = await client.refresh_token(told["token_endpoint"])
    known = await client.introspect_token(told["introspection_endpoint"], token=fresh["access_token"])
    revoked = await client.revoke_token(told["revocation_endpoint"], token=fresh["refresh_token"])

    assert token["scope"] == "openid profile offline_access"
    assert userinfo["sub"]
    assert fresh["refresh_token"] != token["refresh_token"]
    assert known.json()["active"] is True
    assert revoked.status_code == 200
    assert (await client.get(told["userinfo_endpoint"])).status_code == 401
