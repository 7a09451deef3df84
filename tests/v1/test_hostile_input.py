import json

import anyio
import httpx
import pytest
from litestar import Litestar

from tests.v1.conftest import Lagoon, serving

DEEP = b'{"subjects":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
BODIES = {
    "deep arrays": DEEP,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and unclosed": b"[" * 500_000,
    "invalid UTF-8": b'{"subjects":["\xff\xfe"]}',
    "NUL": b'{"subjects":["\x00"]}',
    "escaped NUL": b'{"subjects":["\\u0000"]}',
    "a lone surrogate": b'{"subjects":["\\ud800"]}',
    "encoded surrogate": b'{"subjects":["\xed\xa0\x80"]}',
    "a huge number": b'{"subjects":[' + b"9" * 10_000 + b"]}",
    "an exponent": b'{"subjects":[1e400]}',
    "NaN": b'{"subjects":[NaN]}',
    "duplicate keys": b'{"subjects":["a"],"subjects":["b"]}',
    "duplicate keys further in": b'{"subjects":["a"],"x":{"y":1,"y":2}}',
    "20,000 fields": json.dumps({f"field{n}": n for n in range(20_000)}).encode(),
    "an unknown field": b'{"subjects":["a"],"admin":true}',
    "nothing": b"",
    "null": b"null",
    "a number": b"1",
    "a list": b"[]",
    "no subjects": b'{"subjects":[]}',
    "a subject of spaces": b'{"subjects":["  "]}',
    "a path": b'{"subjects":["../../etc/passwd"]}',
    "SQL": b'{"subjects":["\' OR 1=1 --"]}',
    "no JSON at all": b"subjects=a",
    "a byte order mark": b'\xef\xbb\xbf{"subjects":["a"]}',
    "UTF-16": '{"subjects":["a"]}'.encode("utf-16"),
}


async def test_every_hostile_body_is_a_clear_400(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    headers = lagoon.headers | {"Content-Type": "application/json"}
    answers = {
        name: await client.post("/v1/entitlements", headers=headers, content=body)
        for name, body in BODIES.items()
    }

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(BODIES, 400)
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}


async def test_a_body_of_12_megabytes_is_refused(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    answer = await client.post("/v1/entitlements", headers=lagoon.headers, content=b"x" * 12_000_000)

    assert answer.status_code == 413


async def test_an_endless_body_without_a_length_is_refused(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    sent = 0

    async def endless() -> object:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    answer = await client.post("/v1/entitlements", headers=lagoon.headers, content=endless())

    assert answer.status_code == 413
    assert sent < 5_000_000


PATHS = (
    "/v1/entitlements/%00",
    "/v1/entitlements/%ff%fe",
    "/v1/entitlements/%ed%a0%80",
    "/v1/entitlements/" + "a" * 5_000,
    "/v1/entitlements/..%2f..%2fetc",
    "/v1/entitlements/%27%20OR%201=1",
    "/v1/policies/%00",
    "/v1/policies/%ff",
    "/v1/motions/not-a-uuid",
    "/v1/motions/%00",
    "/v1/motions/00000000-0000-0000-0000-000000000000",
)


async def test_every_hostile_path_is_a_clear_refusal(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    answers = {path: await client.get(path, headers=lagoon.headers) for path in PATHS}

    assert {
        path: answer.status_code for path, answer in answers.items() if answer.status_code not in {400, 404}
    } == {}
    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}


async def test_a_foreign_host_header_reaches_no_url(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    del lagoon
    for path in ("/v1/openapi.json", "/v1/motions/not-a-uuid", "/v1/networks", "/nowhere"):
        answer = await client.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert "evil.example" not in answer.text + str(answer.headers)


async def test_a_method_that_is_not_offered_is_a_405(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    statuses = {
        method: (await client.request(method, "/v1/entitlements", headers=lagoon.headers)).status_code
        for method in ("PUT", "DELETE", "PATCH", "TRACE")
    }

    assert set(statuses.values()) == {405}


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
@pytest.mark.parametrize("path", ["/v1/entitlements", "/v1/networks"])
async def test_a_body_of_another_kind_is_a_415(
    client: httpx.AsyncClient, lagoon: Lagoon, registrar: dict[str, str], path: str, kind: str
) -> None:
    headers = lagoon.headers if path == "/v1/entitlements" else registrar

    answer = await client.post(path, content=b'{"subjects": ["x"]}', headers=headers | {"Content-Type": kind})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_json_may_say_its_encoding_or_nothing(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    for kind in ({}, {"Content-Type": "Application/JSON; charset=utf-8"}):
        answer = await client.post(
            "/v1/entitlements", content=b'{"subjects": ["x"]}', headers=lagoon.headers | kind
        )

        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/entitlements/x", "/v1/nowhere", "/v1/motions/x"])
async def test_a_browser_that_looks_gets_what_programs_get(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": "text/html,application/xhtml+xml"})

    assert answer.status_code in {400, 401, 404}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_headers_that_are_no_text_are_refused(client: httpx.AsyncClient, app: Litestar) -> None:
    del app
    answer = await client.get("/v1/entitlements/x", headers=[(b"Authorization", b"Bearer \xff\xfe\x00")])

    assert answer.status_code == 401


async def test_a_hostile_etag_is_no_match(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    answer = await client.get(
        "/v1/networks", headers=lagoon.headers | {"If-None-Match": ',,W/,"' + "x" * 5_000}
    )

    assert answer.status_code == 200


async def test_a_body_of_two_lengths_is_refused_by_the_server(app: Litestar) -> None:
    requests = {
        "two lengths": b"POST /v1/entitlements HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        "length and chunks": b"POST /v1/entitlements HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    }
    statuses = {}
    async with serving(app) as origin:
        for name, sent in requests.items():
            async with await anyio.connect_tcp("127.0.0.1", int(origin.rpartition(":")[2])) as stream:
                await stream.send(sent)
                statuses[name] = (await stream.receive())[:12]

    assert statuses == dict.fromkeys(requests, b"HTTP/1.1 400")
