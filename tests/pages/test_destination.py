import httpx
import pytest

from coop.authorization import clients
from coop.networks import networks
from coop.unit_of_work import Units
from tests import cooperative


@pytest.fixture
async def path(units: Units) -> str:
    """Return the path of an authorization request of a network called Meadow."""
    await cooperative.found(units)
    async with units.open() as work:
        network = await networks.register(work, kind="own", name="Meadow", origin="https://meadow.example")
        client, _ = await clients.register(
            work,
            name="Meadow",
            network_id=network.id,
            redirect_uris=["https://meadow.example/back"],
            post_logout_redirect_uris=[],
            scope="openid",
            auth_method="none",
        )
    return (
        f"/oauth/authorize?client_id={client.id}&redirect_uri=https%3A%2F%2Fmeadow.example%2Fback"
        "&response_type=code&scope=openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        "&code_challenge_method=S256&state=x&nonce=n"
    )


@pytest.mark.parametrize("page", ["/sign-in", "/sign-up"])
async def test_the_network_one_came_from_is_named_and_the_form_may_lead_back_to_it(
    client: httpx.AsyncClient, path: str, page: str
) -> None:
    answer = await client.get(page, params={"next": path})

    assert "Meadow" in answer.text
    assert "form-action 'self' https://meadow.example" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("page", ["/sign-in", "/sign-up"])
@pytest.mark.parametrize("next_path", ["/oauth/authorize?client_id=nobody", "/oauth/authorize?%ff", "/books"])
async def test_a_request_that_names_no_network_opens_no_way_out(
    client: httpx.AsyncClient, page: str, next_path: str
) -> None:
    answer = await client.get(page, params={"next": next_path})

    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].endswith("form-action 'self'")
