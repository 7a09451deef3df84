"""Recipes: what each application must be told to delegate its login to the cooperative, ready to paste.

What an application can do was read in its source: where it receives people back, how it proves itself, where it reads
which claim. From that follow the settings of its client (`Recipe`) and a text with its configuration (a template of
the same name in this folder), into which the real values are written (`Facts`).
"""

import difflib
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit
from uuid import UUID

from coop.authorization import requests
from coop.authorization.tokens import ACCESS_LIFETIME
from coop.errors import Invalid

SECRET_WITHHELD = "THE-SECRET-THAT-WAS-SHOWN-ONCE"  # noqa: S105 - it says that there is none
"""Stands where the client secret would, once nobody knows it any more."""


_STALE = timedelta(seconds=30)
"""Age at which software that can only count down to a token's end should fetch a new one."""

_PLACEHOLDER = re.compile(r"<<([a-z_]+)>>", re.ASCII)
_CALLBACK = re.compile(r"/[A-Za-z0-9._~/?=&%:@+-]{0,500}", re.ASCII)
# Quotes, dollars, backslashes and the like mean something else in each of the languages of configuration files.
_UNSPEAKABLE = re.compile(r"[^\w .,+-]")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class UnknownKind(Invalid):
    """We have no recipe for that software; say own, and at which path it receives people back."""

    code = "unknown_kind"


class BadCallback(Invalid):
    """A callback is the path at which the network receives people back after signing in, like /callback."""

    code = "bad_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What one application needs of its client; addresses are paths below the network's own."""

    kind: str
    name: str
    callbacks: tuple[str, ...]
    """Where it receives people back; `<<provider>>` stands for the identifier that it knows the cooperative by."""
    scope: str = "openid profile email"
    """What it asks for, separated by spaces; its configuration may want commas."""
    post_logout: tuple[str, ...] = ("/",)
    """Where it wants people sent after signing out of the cooperative as well."""
    backchannel_logout: str | None = None
    """Where it is told that somebody signed out (OpenID Connect Back-Channel Logout 1.0), if it listens."""
    auth_method: str = "client_secret_basic"
    id_token_algorithm: str = "ES256"  # noqa: S105 - the name of an algorithm
    profile_in_id_token: bool = False
    """It reads the ID Token only, so that the name must be in there."""
    requires_pkce: bool = True
    """Waived for software that cannot; a challenge that it sends after all binds."""
    requires_nonce: bool = False
    ends_with_membership: bool = False
    """It looks at memberships at sign-in only, so that it is told to sign people out whose membership ended."""
    gate: str
    """How it keeps out whoever is not a member, in one line."""
    lapse: str
    """When it notices that a membership ended, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The real values of one network, as configurations name them."""

    cooperative: str
    issuer: str
    network: str
    slug: str
    origin: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    provider: str
    """The identifier by which the Matrix Authentication Service knows the cooperative; a ULID."""
    random: str = field(repr=False)
    """A secret of the application's own, by which it seals its cookies; 32 characters."""


_RECIPES = (
    Recipe(
        kind="mastodon",
        name="Mastodon",
        callbacks=("/auth/auth/openid_connect/callback",),
        id_token_algorithm="RS256",  # noqa: S106 - the name of an algorithm
        gate="only members reach it, where the cooperative's sign-in leads through dues",
        lapse="not by itself; the webhook membership.ended comes at once",
    ),
    Recipe(
        kind="discourse",
        name="Discourse",
        callbacks=("/auth/oidc/callback",),
        gate="a group that is filled from the claim groups",
        lapse="at the next sign-in",
    ),
    Recipe(
        kind="synapse",
        name="Synapse (Matrix)",
        callbacks=("/_synapse/client/oidc/callback",),
        backchannel_logout="/_synapse/client/oidc/backchannel_logout",
        id_token_algorithm="RS256",  # noqa: S106 - the name of an algorithm
        profile_in_id_token=True,
        ends_with_membership=True,
        gate="attribute_requirements on the claim groups",
        lapse="within a minute, by back-channel logout",
    ),
    Recipe(
        kind="mas",
        name="Matrix Authentication Service",
        callbacks=("/upstream/callback/<<provider>>",),
        backchannel_logout="/upstream/backchannel-logout/<<provider>>",
        id_token_algorithm="RS256",  # noqa: S106 - the name of an algorithm
        profile_in_id_token=True,
        ends_with_membership=True,
        gate="a template that gives nobody but members a name, so that nobody else gets an account",
        lapse="within a minute, by back-channel logout",
    ),
    Recipe(
        kind="nextcloud",
        name="Nextcloud (user_oidc)",
        # With and without the rewriting of addresses by the web server.
        callbacks=("/apps/user_oidc/code", "/index.php/apps/user_oidc/code"),
        backchannel_logout="/index.php/apps/user_oidc/backchannel-logout/coop",
        # It prefers the form wherever the provider knows it, and ours does.
        auth_method="client_secret_post",
        id_token_algorithm="RS256",  # noqa: S106 - the name of an algorithm
        profile_in_id_token=True,
        ends_with_membership=True,
        gate="login restricted to a group in the claim groups",
        lapse="within a minute, by back-channel logout",
    ),
    Recipe(
        kind="forgejo",
        name="Forgejo",
        callbacks=("/user/oauth2/coop/callback",),
        requires_pkce=False,
        gate="--required-claim-name groups --required-claim-value coop-members",
        lapse="at the next sign-in",
    ),
    Recipe(
        kind="gitea",
        name="Gitea",
        callbacks=("/user/oauth2/coop/callback",),
        requires_pkce=False,
        gate="--required-claim-name groups --required-claim-value coop-members",
        lapse="at the next sign-in",
    ),
    Recipe(
        kind="wordpress",
        name="WordPress (OpenID Connect Generic)",
        callbacks=("/wp-admin/admin-ajax.php?action=openid-connect-authorize",),
        auth_method="client_secret_post",
        requires_pkce=False,
        gate="a plug-in of ten lines that reads the claim groups",
        lapse="at the next sign-in",
    ),
    Recipe(
        kind="oauth2-proxy",
        name="oauth2-proxy, before anything",
        callbacks=("/oauth2/callback",),
        scope="openid profile groups offline_access",
        gate="allowed_groups",
        lapse="within a minute, when it refreshes the session",
    ),
    Recipe(
        kind="mod_auth_openidc",
        name="Apache (mod_auth_openidc), before anything",
        callbacks=("/coop/callback",),
        backchannel_logout="/coop/callback?logout=backchannel",
        id_token_algorithm="RS256",  # noqa: S106 - the name of an algorithm
        gate="Require claim groups:coop-members",
        lapse="within a minute, when it fetches new tokens",
    ),
    Recipe(
        kind="caddy",
        name="Caddy, with oauth2-proxy beside it",
        callbacks=("/oauth2/callback",),
        scope="openid profile groups offline_access",
        gate="allowed_groups of oauth2-proxy",
        lapse="within a minute, when oauth2-proxy refreshes the session",
    ),
    Recipe(
        kind="ghost",
        name="Ghost",
        callbacks=("/oauth2/callback",),
        scope="openid profile groups offline_access",
        gate="oauth2-proxy before the site; Ghost itself lets nobody sign in by OpenID Connect",
        lapse="within a minute, when oauth2-proxy refreshes the session",
    ),
    Recipe(
        kind="own",
        name="A network of your own",
        callbacks=("/callback",),
        gate="the claims membership and groups, and the entitlements API",
        lapse="whenever you ask; the webhook membership.ended comes at once",
    ),
)
_BY_KIND = {recipe.kind: recipe for recipe in _RECIPES}
KINDS: tuple[str, ...] = tuple(_BY_KIND)
OWN = _BY_KIND["own"]


def find(kind: str, *, callback: str | None = None) -> Recipe:
    """Return the recipe for a kind of software; with a `callback` any kind will do, since that is all we must know."""
    if callback is not None and not _CALLBACK.fullmatch(callback):
        raise BadCallback(field="callback")
    known = _BY_KIND.get(kind)
    if known is None and callback is None:
        nearest = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise UnknownKind(
            f"There is no recipe for {kind[:40]!r}.{hint} The kinds are {', '.join(KINDS)}; for any other software, say "
            "at which path it receives people back after signing in (callback).",
            field="kind",
        )
    recipe = known or replace(OWN, kind=kind)
    return recipe if callback is None else replace(recipe, callbacks=(callback,))


def of_kind(kind: str) -> Recipe:
    """Return the recipe for a network that is registered already; software that we do not know is its owner's own."""
    return _BY_KIND.get(kind, OWN)


def provider_of(network_id: UUID) -> str:
    """Return the network's identifier as a ULID, which is how some software wants to name its providers."""
    number, letters = network_id.int, ""
    for _ in range(26):
        number, index = divmod(number, 32)
        letters = _CROCKFORD[index] + letters
    return letters


def placed(path: str, network_id: UUID) -> str:
    """Return a path of a recipe as it is on this network."""
    return path.replace("<<provider>>", provider_of(network_id))


def at(facts: Facts, path: str) -> Facts:
    """Return the facts of a network that receives people back at `path`."""
    return replace(facts, redirect_uri=f"{facts.origin}{path}")


def render(recipe: Recipe, facts: Facts) -> str:
    """Return the recipe with real values: Markdown whose fenced blocks can be pasted as they are."""
    values = _values(recipe, facts)
    return _PLACEHOLDER.sub(lambda found: values[found[1]], _template(recipe.kind))


def _values(recipe: Recipe, facts: Facts) -> dict[str, str]:
    scopes = recipe.scope.split()
    return {
        **asdict(facts),
        "cooperative": _UNSPEAKABLE.sub("", facts.cooperative).strip() or "Cooperative",
        "network": _UNSPEAKABLE.sub("", facts.network).strip() or facts.slug,
        "host": urlsplit(facts.origin).netloc,
        "callback": facts.redirect_uri.removeprefix(facts.origin),
        "scope": recipe.scope,
        "scope_commas": ",".join(scopes),
        "discovery": f"{facts.issuer}/.well-known/openid-configuration",
        "authorization_endpoint": f"{facts.issuer}{requests.PATH}",
        "token_endpoint": f"{facts.issuer}/oauth/token",
        "userinfo_endpoint": f"{facts.issuer}/oauth/userinfo",
        "end_session_endpoint": f"{facts.issuer}/oauth/end-session",
        "refresh_before_expiry": str(int((ACCESS_LIFETIME - _STALE).total_seconds())),
        "gate": recipe.gate,
        "lapse": recipe.lapse,
    }


@cache
def _template(kind: str) -> str:
    name = kind if kind in _BY_KIND else OWN.kind
    return files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8")
