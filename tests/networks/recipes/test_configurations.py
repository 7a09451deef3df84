"""What recipes print can be pasted: each configuration is read here in its own language."""

import re

import pytest

from coop.authorization import recipes
from coop.authorization.recipes import BadCallback, Facts, UnknownKind
from coop.cli.network import EXAMPLE, example
from tests.networks.recipes import configurations as read

ISSUER, ORIGIN = EXAMPLE.issuer, EXAMPLE.origin
ID, SECRET = EXAMPLE.client_id, EXAMPLE.client_secret


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_recipe_names_the_network_and_leaves_nothing_open(kind: str) -> None:
    text = example(kind)

    assert "<<" not in re.sub(r"<<'RUBY'", "", text)
    assert ID in text
    assert SECRET in text
    assert ISSUER in text
    assert text.startswith(f"# {EXAMPLE.network}")
    assert text.endswith("\n")


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_recipe_says_who_gets_in_what_a_lapse_does_and_how_to_get_in_alone(kind: str) -> None:
    headings = re.findall(r"^## \d\. (.*)$", example(kind), re.MULTILINE)

    assert "Try it" in headings
    assert "When a membership ends" in headings
    assert "The way back in without the cooperative" in headings


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_recipe_without_the_secret_says_so(kind: str) -> None:
    facts = Facts(
        **{
            field: getattr(EXAMPLE, field)
            for field in Facts.__slots__
            if field not in {"client_secret", "redirect_uri"}
        },
        client_secret=recipes.SECRET_WITHHELD,
        redirect_uri=f"{ORIGIN}{recipes.find(kind).callbacks[0]}",
    )

    text = recipes.render(recipes.find(kind), facts)

    assert recipes.SECRET_WITHHELD in text
    assert "coop_cs_" not in text


@pytest.mark.parametrize("name", ['Bob\'s "Grand" $HOME `id` \\ <b>', "Żółw & Café #1", "'); DROP"])
@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_name_cannot_say_anything_in_a_configuration(kind: str, name: str) -> None:
    found = recipes.find(kind)
    values = {field: getattr(EXAMPLE, field) for field in Facts.__slots__} | {
        "cooperative": name,
        "network": name,
    }

    text = recipes.render(found, recipes.at(Facts(**values), found.callbacks[0]))

    for block in (body for language in read.languages(text) for body in read.blocks(text, language)):
        assert not {"$HOME", "`id`", "<b>", "');", '"Grand"'} & set(block.split())


def test_mastodon_reads_its_environment() -> None:
    settings, moving = map(read.env, read.blocks(example("mastodon"), "env"))

    assert settings == {
        "OIDC_ENABLED": "true",
        "OIDC_DISPLAY_NAME": "Commons Cooperative",
        "OIDC_ISSUER": ISSUER,
        "OIDC_DISCOVERY": "true",
        "OIDC_CLIENT_ID": ID,
        "OIDC_CLIENT_SECRET": SECRET,
        "OIDC_REDIRECT_URI": f"{ORIGIN}/auth/auth/openid_connect/callback",
        "OIDC_SCOPE": "openid,profile,email",
        "OIDC_UID_FIELD": "preferred_username",
        "OIDC_USE_PKCE": "true",
        "OIDC_SEND_NONCE": "true",
    }
    assert moving == {"ALLOW_UNSAFE_AUTH_PROVIDER_REATTACH": "true"}


def test_discourse_is_set_by_one_script() -> None:
    (block,) = read.blocks(example("discourse"), "sh")

    script = block.split("<<'RUBY'\n")[1].rsplit("RUBY")[0]
    settings = dict(re.findall(r"^  (\w+): (.*?),?$", script, re.MULTILINE))
    assert settings["openid_connect_discovery_document"] == f'"{ISSUER}/.well-known/openid-configuration"'
    assert settings["openid_connect_client_secret"] == f'"{SECRET}"'
    assert settings["openid_connect_use_pkce"] == "true"
    assert settings["openid_connect_groups_claim"] == '"groups"'


def test_synapse_reads_yaml() -> None:
    (block,) = read.blocks(example("synapse"), "yaml")

    (provider,) = read.yaml_of(block)["oidc_providers"]
    assert (provider["issuer"], provider["client_id"], provider["client_secret"]) == (ISSUER, ID, SECRET)
    assert provider["attribute_requirements"] == [{"attribute": "groups", "value": "coop-members"}]
    assert provider["backchannel_logout_enabled"] is True
    # The schema that Synapse checks each provider against; it refuses other types.
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", provider["idp_id"])
    assert provider["client_auth_method"] == recipes.find("synapse").auth_method


def test_mas_reads_yaml_and_a_ulid() -> None:
    (block,) = read.blocks(example("mas"), "yaml")

    (provider,) = read.yaml_of(block)["upstream_oauth2"]["providers"]
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", provider["id"])
    assert provider["token_endpoint_auth_method"] == recipes.find("mas").auth_method
    assert provider["id_token_signed_response_alg"] == recipes.find("mas").id_token_algorithm
    assert provider["on_backchannel_logout"] == "logout_all"
    assert provider["claims_imports"]["localpart"]["action"] == "require"


def test_nextcloud_is_told_by_a_command() -> None:
    (block,) = read.blocks(example("nextcloud"), "sh")

    words = read.command(block, "php occ user_oidc:provider")
    told = read.options(words)
    assert words[3] == "coop"
    assert told["clientid"] == [ID]
    assert told["clientsecret"] == [SECRET]
    assert told["discoveryuri"] == [f"{ISSUER}/.well-known/openid-configuration"]
    assert told["scope"] == ["openid profile email"]
    assert re.fullmatch(told["group-whitelist-regex"][0].strip("/"), "coop-members")
    assert told["group-restrict-login-to-whitelist"] == ["1"]


@pytest.mark.parametrize("kind", ["forgejo", "gitea"])
def test_forges_are_told_by_a_command_and_an_ini_file(kind: str) -> None:
    text = example(kind)

    told = read.options(read.command(read.blocks(text, "sh")[0], kind))
    assert told["name"] == ["coop"]
    assert (told["key"], told["secret"]) == ([ID], [SECRET])
    assert told["scopes"] == ["openid", "profile", "email"]
    assert (told["required-claim-name"], told["required-claim-value"]) == (["groups"], ["coop-members"])
    assert read.ini(read.blocks(text, "ini")[0])["oauth2_client"]["USERNAME"] == "nickname"


def test_wordpress_reads_php() -> None:
    constants, gate = read.blocks(example("wordpress"), "php")

    defined = read.php(constants)
    assert defined["OIDC_CLIENT_ID"] == ID
    assert defined["OIDC_ENDPOINT_LOGIN_URL"] == f"{ISSUER}/oauth/authorize"
    assert defined["OIDC_ENDPOINT_TOKEN_URL"] == f"{ISSUER}/oauth/token"
    assert defined["OIDC_ENDPOINT_USERINFO_URL"] == f"{ISSUER}/oauth/userinfo"
    assert defined["OIDC_ENDPOINT_LOGOUT_URL"] == f"{ISSUER}/oauth/end-session"
    assert gate.startswith("<?php\n")
    assert read.php(gate) == {}


@pytest.mark.parametrize("kind", ["oauth2-proxy", "caddy", "ghost"])
def test_oauth2_proxy_reads_toml(kind: str) -> None:
    (block,) = read.blocks(example(kind), "toml")

    settings = read.toml(block)
    assert settings["redirect_url"] == f"{ORIGIN}/oauth2/callback"
    assert settings["allowed_groups"] == ["coop-members"]
    assert settings["code_challenge_method"] == "S256"
    assert settings["insecure_oidc_skip_nonce"] is False
    assert len(settings["cookie_secret"]) in {16, 24, 32}


def test_caddy_closes_its_braces() -> None:
    (block,) = read.blocks(example("caddy"), "caddy")

    assert block.startswith("lantern.example {")
    assert block.count("{") == block.count("}")
    assert "forward_auth 127.0.0.1:4180" in block


def test_apache_reads_directives() -> None:
    (block,) = read.blocks(example("mod_auth_openidc"), "apache")

    told = read.apache(block)
    assert told["OIDCProviderMetadataURL"] == [f"{ISSUER}/.well-known/openid-configuration"]
    assert told["OIDCRedirectURI"] == [f"{ORIGIN}/coop/callback"]
    assert told["OIDCScope"] == ["openid profile email"]
    assert told["OIDCIDTokenSignedResponseAlg"] == [recipes.find("mod_auth_openidc").id_token_algorithm]
    assert "groups:coop-members" in told["Require"]


def test_a_network_of_one_s_own_reads_its_environment() -> None:
    (block,) = read.blocks(example("own"), "env")

    told = read.env(block)
    assert told["OIDC_REDIRECT_URI"] == f"{ORIGIN}/callback"
    assert told["OIDC_CLIENT_SECRET"] == SECRET


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(UnknownKind, match=r"Did you mean mastodon\?.*discourse, synapse"):
        recipes.find("mastadon")


def test_any_kind_will_do_with_a_callback() -> None:
    found = recipes.find("pixelfed", callback="/auth/oidc/callback")

    assert found.kind == "pixelfed"
    assert found.callbacks == ("/auth/oidc/callback",)


@pytest.mark.parametrize("callback", ["callback", "//evil.example", "/a b", "/'", "/<b>", "/a#b", "/\\x", ""])
def test_a_callback_is_a_path(callback: str) -> None:
    if callback == "//evil.example":
        # It stays below the network's own address, whatever it looks like.
        assert recipes.at(EXAMPLE, callback).redirect_uri.startswith(f"{ORIGIN}/")
        return
    with pytest.raises(BadCallback):
        recipes.find("own", callback=callback)
