"""The styleguide: every part of a page in both themes, so that a change of one is seen in all."""

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.rendering import page
from coop.errors import NotFound
from coop.money import Money
from coop.settings import Settings


@get("/styleguide", include_in_schema=False)
async def styleguide(
    request: Request[object, object, State],
    settings: NamedDependency[Settings],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Show the parts; in a demo only, since members have no use for them."""
    del viewer
    if not settings.demo:
        raise NotFound
    return page("styleguide.html", request, price=Money(2500), cents=Money(123456))


routes = [styleguide]
