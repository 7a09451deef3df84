"""Pages that explain the service itself: what it holds about people, and how everybody can use it."""

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.pages.holdings import HOLDINGS
from api.pages.rendering import page

AnyRequest = Request[object, object, State]


@get("/privacy", include_in_schema=False)
async def privacy(request: AnyRequest, viewer: NamedDependency[Viewer | None]) -> Response[bytes]:
    """Say what is held about a person, why, who sees it and how long."""
    del viewer
    return page("about/privacy.html", request, holdings=HOLDINGS)


@get("/accessibility", include_in_schema=False)
async def accessibility(request: AnyRequest, viewer: NamedDependency[Viewer | None]) -> Response[bytes]:
    """Say what was done so that everybody can use the pages, and what is known to be lacking."""
    del viewer
    return page("about/accessibility.html", request)


routes = [privacy, accessibility]
