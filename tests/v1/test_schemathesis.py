"""The OpenAPI document and the service agree: generated requests, good and bad, find no difference and no fault of ours."""

import anyio.to_thread
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from litestar import Litestar
from schemathesis import Case, GenerationMode

from coop.networks import networks
from coop.unit_of_work import Units
from tests.v1.conftest import Lagoon, member, serving

EXAMPLES = 25
"""Of each kind for each operation: half a minute in all."""

bounded = hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def examine(
    description: dict[str, object], origin: str, headers: dict[str, str], registrar: dict[str, str]
) -> int:
    """Let schemathesis make requests from `description` and judge every answer; return how many it made.

    `headers` are of a network, and `registrar` those of whoever may plug networks in.
    """
    made = 0
    schema = schemathesis.openapi.from_dict(description)
    for operation in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            described = operation.ok()
            if mode is GenerationMode.NEGATIVE and not (described.path_parameters or described.body):
                # There is nothing that could be wrong.
                continue

            @bounded
            @given(case=described.as_strategy(generation_mode=mode))
            def judge(case: Case) -> None:
                nonlocal made
                made += 1
                plugs_in = case.operation.method.upper() == "POST" and case.operation.path.endswith(
                    "/networks"
                )
                case.call_and_validate(base_url=origin, headers=registrar if plugs_in else headers)

            judge()
    return made


@pytest.mark.filterwarnings("default")
async def test_the_document_is_true(
    app: Litestar, client: httpx.AsyncClient, units: Units, lagoon: Lagoon, registrar: dict[str, str]
) -> None:
    await member(units, lagoon.network_id, "robin")
    description = (await client.get("/v1/openapi.json")).json()

    async with serving(app) as origin:
        made = await anyio.to_thread.run_sync(examine, description, origin, lagoon.headers, registrar)

    assert made > EXAMPLES
    async with units.read() as work:
        # Those that should be plugged in were.
        assert len(await networks.directory(work)) > 2


async def test_the_document_is_openapi_3_1_with_an_id_and_refusals_for_each_operation(
    client: httpx.AsyncClient,
) -> None:
    description = (await client.get("/v1/openapi.json")).json()

    operations = [operation for path in description["paths"].values() for operation in path.values()]
    assert description["openapi"].startswith("3.1")
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert refusals
        assert all("application/problem+json" in answer["content"] for answer in refusals.values())
