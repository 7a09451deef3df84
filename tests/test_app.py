import subprocess
import sys

import httpx
import pytest

from tests.demo import ROOT


async def test_health_answers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")

    assert answer.json() == {"status": "ok", "database": "ok"}


async def test_an_unknown_path_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")

    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_an_unsafe_request_from_another_site_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sign-in", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "foreign_origin"


@pytest.mark.parametrize(
    "path", ["/health", "/", "/.well-known/openid-configuration", "/oauth/jwks", "/v1/networks", "/nowhere"]
)
async def test_head_is_answered_as_get_is_but_for_the_body(client: httpx.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)

    assert head.status_code == whole.status_code
    assert head.content == b""
    assert head.headers.keys() == whole.headers.keys()
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize("method", ["OPTIONS", "PUT"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", {"GET", "HEAD", "OPTIONS"}),
        ("/sign-up", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/oauth/jwks", {"GET", "HEAD", "OPTIONS"}),
        ("/v1/entitlements", {"OPTIONS", "POST"}),
    ],
)
async def test_head_is_named_where_it_is_answered(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == (204 if method == "OPTIONS" else 405)
    named = set(answer.headers["allow"].split(", "))
    # A refusal need not name what is answered for the framework's sake.
    assert named | {"OPTIONS"} == allowed


@pytest.mark.parametrize("path", ["/health", "/oauth/token", "/v1/entitlements"])
async def test_a_trace_is_told_what_is_answered_instead(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.request("TRACE", path, headers={"X-Secret": "echo"})

    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert "echo" not in answer.text


def test_what_only_some_need_is_not_loaded_by_all() -> None:
    """A process carries what it serves with; each of these takes megabytes, and seconds from every command."""
    spared = ("aiohttp", "requests", "webauthn", "confusable_homoglyphs", "alembic", "rich", "numpy")
    program = f"import sys, coop.cli.serve; print([name for name in {spared} if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert told.stdout == "[]\n"
