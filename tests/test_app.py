import httpx


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
