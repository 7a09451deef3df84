import httpx

from api.documentation import operations, refusals
from tests.conftest import ISSUER

READER = {"Accept": "text/html"}


async def test_every_operation_has_a_place_an_example_and_its_refusals(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/api", headers=READER)

    assert answer.status_code == 200
    for operation in operations(ISSUER):
        assert f'id="{operation.id}"' in answer.text
        assert operation.fields
        assert operation.responses


async def test_the_example_of_an_entitlement_is_the_answer_that_networks_get(
    client: httpx.AsyncClient,
) -> None:
    del client
    (operation,) = (found for found in operations(ISSUER) if found.id == "getEntitlement")

    assert '"membership": "active"' in operation.answer
    assert "Bearer ACCESS_TOKEN" in operation.call


async def test_every_webhook_is_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/api", headers=READER)

    for kind in ("member.linked", "membership.activated", "membership.ended", "covenant.changed"):
        assert f'id="{kind}"' in answer.text


async def test_every_problem_document_points_to_a_place_on_the_page_of_refusals(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs/errors", headers=READER)).text
    refused = [
        (await client.get(path)).json()["type"]
        for path in ("/nowhere", "/v1/policies/gravity", "/v1/entitlements/x", "/v1/motions/x")
    ]

    for address in refused:
        path, _, code = address.partition("#")
        assert path == f"{ISSUER}/docs/errors"
        assert f'id="{code}"' in page
    assert all(f'id="{refusal.code}"' in page for refusal in refusals())


async def test_the_pages_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("/docs/api", "/docs/errors"):
        text = (await client.get(path, headers=READER)).text
        assert "<script" not in text
        assert 'src="http' not in text
