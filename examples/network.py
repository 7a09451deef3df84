"""A whole small network whose front door is a cooperative: a plain OpenID Connect client in one file.

python examples/network.py --issuer http://127.0.0.1:8000 --client-id ID --client-secret SECRET --port 8001

Register http://127.0.0.1:8001/callback as its redirect URI, and http://127.0.0.1:8001/ for after signing out.
"""

import argparse
import base64
import hashlib
import html
import secrets
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from litestar import Litestar, MediaType, Request, Response, get
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.response import Redirect

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{0}</title><style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.6 Georgia,serif;max-width:34rem;margin:
4rem auto;padding:0 1.2rem}}a{{color:inherit;margin-right:1.2rem}}</style><main><h1>{0}</h1><p>{1}</p><p>{2}</p></main>"""
BACK, JOIN, SIGN_IN = '<a href="/">Back</a>', '<a href="/join">Join</a>', '<a href="/sign-in">Sign in</a>'
INSIDE = '<a href="/members">For members</a><a href="/sign-out">Sign out</a>'
Browser = Request[Any, Any, Any]


def show(text: str, links: str, status: int = 200) -> Response[str]:
    """Return a page."""
    return Response(
        PAGE.format(html.escape(args.name), text, links), media_type=MediaType.HTML, status_code=status
    )


@get("/")
async def front(request: Browser) -> Response[str]:
    """Greet whoever comes."""
    if name := request.session.get("name"):
        return show(f"Hello, {html.escape(name)}.", INSIDE)
    return show("No ads, no tracking. It belongs to the people who use it.", JOIN + SIGN_IN)


@get("/members")
async def members(request: Browser) -> Response[str] | Redirect:
    """Open to members only; the cooperative is asked each time, so that whoever lapses is out at once."""
    person = await ask(request.session.get("access_token", ""))
    if person.is_error:
        return Redirect("/sign-in")
    if person.json()["membership"] != "active":
        return show("This page is for members of the cooperative.", JOIN + BACK, 403)
    return show("Welcome in. This page opens for members of the cooperative only.", BACK)


@get(["/sign-in", "/join"])
async def leave(request: Browser) -> Redirect:
    """Send the browser to the cooperative, with secrets to which only its own cookie leads back."""
    begun = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun["verifier"].encode()).digest())
    asked = {"response_type": "code", "client_id": args.client_id, "redirect_uri": f"{home}callback"}
    asked |= {"scope": "openid profile", "state": begun["state"], "nonce": begun["nonce"]}
    asked |= {"code_challenge": challenge.decode().rstrip("="), "code_challenge_method": "S256"}
    asked |= {"prompt": "create"} if request.url.path == "/join" else {}
    request.set_session(begun)
    return Redirect(f"{provider['authorization_endpoint']}?{urlencode(asked)}")


@get("/callback")
async def come_back(request: Browser) -> Response[str] | Redirect:
    """Redeem the code, and check who sent it and for whom: state, issuer, signature, audience, nonce, time."""
    told, begun = request.query_params, request.session
    if not begun.get("state") or told.get("state") != begun["state"] or told.get("iss") != args.issuer:
        return show("That sign-in did not begin in this browser.", SIGN_IN + BACK, 400)
    if "code" not in told:
        return show("You did not sign in.", SIGN_IN + BACK)
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": f"{home}callback"}
    form |= {"code_verifier": begun["verifier"]}
    try:
        async with httpx.AsyncClient(auth=(args.client_id, args.client_secret)) as coop:
            tokens = (await coop.post(provider["token_endpoint"], data=form)).raise_for_status().json()
            keys = KeySet.import_key_set((await coop.get(provider["jwks_uri"])).json())
        token = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
        wanted = {"iss": args.issuer, "aud": args.client_id, "nonce": begun["nonce"]}
        rules = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        jwt.JWTClaimsRegistry(leeway=5, exp={"essential": True}, **rules).validate(token.claims)
        person = (await ask(tokens["access_token"])).raise_for_status().json()
    except (httpx.HTTPError, JoseError):
        return show("That sign-in could not be checked.", SIGN_IN + BACK, 400)
    # `sub` is who this is, here and on no other network; the name is how the others here call them.
    request.set_session({**tokens, "sub": token.claims["sub"], "name": person["preferred_username"]})
    return Redirect("/members")


@get("/sign-out")
async def sign_out(request: Browser) -> Redirect:
    """Forget the browser here, and offer to sign out of the cooperative, too."""
    hint = {"id_token_hint": request.session.get("id_token", ""), "post_logout_redirect_uri": home}
    request.clear_session()
    return Redirect(f"{provider['end_session_endpoint']}?{urlencode(hint)}" if hint["id_token_hint"] else "/")


async def ask(access_token: str) -> httpx.Response:
    """Ask the cooperative who the bearer is, and whether they are a member today."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {access_token}"}) as coop:
        return await coop.get(provider["userinfo_endpoint"])


parser = argparse.ArgumentParser(description="A small network that lets a cooperative's members in.")
for option in ("--issuer", "--client-id", "--client-secret"):
    parser.add_argument(option, required=True)
parser.add_argument("--name", default="Lantern")
parser.add_argument("--port", type=int, default=8001)
args = parser.parse_args()
home = f"http://127.0.0.1:{args.port}/"
provider = httpx.get(f"{args.issuer}/.well-known/openid-configuration").raise_for_status().json()
# Cookies do not know ports: two networks on one machine need two names.
visits = CookieBackendConfig(secret=secrets.token_bytes(32), key=f"network-{args.port}")
app = Litestar(
    [front, members, leave, come_back, sign_out],
    middleware=[visits.middleware],
    openapi_config=None,
    logging_config=None,
)
uvicorn.run(app, port=args.port, log_level="warning")
