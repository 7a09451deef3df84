"""Apache's mod_auth_openidc takes claims from the ID Token and from UserInfo, and fetches new tokens every half minute."""

import secrets

from tests.networks.recipes.application import PKCE, VERIFIER, Application, Claims
from tests.networks.recipes.configurations import apache, blocks
from tests.networks.recipes.conftest import Person, Plug


async def sign_in(module: Application) -> tuple[Claims, Claims]:
    """Do what the module does, and return the claims that its environment has, and the tokens."""
    settings = apache(blocks(module.configuration, "apache")[0])
    provider = (await module.wire.get(settings["OIDCProviderMetadataURL"][0])).json()
    nonce, state = secrets.token_urlsafe(32), secrets.token_urlsafe(20)
    told = await module.send(
        {
            "response_type": "code",
            "scope": settings["OIDCScope"][0],
            "client_id": settings["OIDCClientID"][0],
            "state": state,
            "redirect_uri": settings["OIDCRedirectURI"][0],
            "nonce": nonce,
            **PKCE,
        }
    )
    # The module compares `iss` of the response with the provider that it sent the browser to (RFC 9207).
    assert (told["state"], told["iss"]) == (state, provider["issuer"])
    assert settings["OIDCProviderTokenEndpointAuth"] == ["client_secret_basic"]
    tokens = await module.post(
        {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": settings["OIDCRedirectURI"][0],
            "code_verifier": VERIFIER,
        },
        auth="encoded basic",
    )
    header, claims = await module.verified(tokens["id_token"])
    assert [header["alg"]] == settings["OIDCIDTokenSignedResponseAlg"]
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (provider["issuer"], module.client_id, nonce)
    assert {"exp", "iat", "sub", "at_hash"} <= set(claims)
    person = await module.userinfo(tokens["access_token"])
    assert person["sub"] == claims["sub"]
    return claims | person, tokens


async def test_apache_names_people_by_their_alias(plug: Plug, ada: Person) -> None:
    module = await plug("mod_auth_openidc")

    claims, _ = await sign_in(module)

    (claim,) = apache(blocks(module.configuration, "apache")[0])["OIDCRemoteUserClaim"]
    assert claims[claim]


async def test_apache_sees_a_membership_end_in_its_next_id_token(plug: Plug, ada: Person) -> None:
    module = await plug("mod_auth_openidc")
    await ada.joins()
    claims, tokens = await sign_in(module)
    await ada.leaves()

    refreshed = await module.post(
        {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "scope": "openid profile email",
        },
        auth="encoded basic",
    )

    # `Require claim groups:coop-members` looks for the value in an array, and takes the ID Token's before UserInfo's.
    _, again = await module.verified(refreshed["id_token"])
    assert (claims["groups"], again["groups"]) == (["coop-members"], [])
    assert again["sub"] == claims["sub"]


async def test_apache_fetches_new_tokens_every_half_minute(plug: Plug, ada: Person) -> None:
    module = await plug("mod_auth_openidc")
    _, tokens = await sign_in(module)

    settings = apache(blocks(module.configuration, "apache")[0])
    before_expiry, on_error = settings["OIDCRefreshAccessTokenBeforeExpiry"]
    assert tokens["expires_in"] - int(before_expiry) == 30
    assert on_error == "logout_on_error"


async def test_apache_is_told_of_a_sign_out_where_it_listens(plug: Plug) -> None:
    module = await plug("mod_auth_openidc")

    assert module.made.client.backchannel_logout_uri == f"{module.redirect_uri}?logout=backchannel"
