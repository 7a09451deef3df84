"""The one composition root: `create_app` joins the cooperative to HTTP, Stripe, mail and time."""

import contextlib
from collections.abc import AsyncIterator

import anyio
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.static_files import create_static_files_router

import api.documentation
import api.health
import api.hooks
import api.oauth
import api.oauth.authorize
import api.pages
import api.v1
from api.dependencies import dependencies
from api.errors import handlers
from api.pages.rendering import STATIC
from api.security import Security
from coop import worker
from coop.authorization import keys
from coop.authorization.client_keys import ClientKeys
from coop.billing.gateway import Gateway
from coop.billing.stripe_events import Intake
from coop.clock import Clock
from coop.identity.passwords import Hasher
from coop.mail import Mailer
from coop.networks import subjects
from coop.settings import Settings
from coop.unit_of_work import Units

LARGEST_BODY = 1_000_000
"""Bytes; the largest honest request is a batch of a thousand entitlements."""


def create_app(settings: Settings, gateway: Gateway, mailer: Mailer, clock: Clock) -> Litestar:
    """Return the service, ready to be served; nothing outside this module chooses an implementation."""
    return join(build(), Units(settings, clock), gateway, mailer)


def build() -> Litestar:
    """Return the routes of the service, with nothing behind them yet; to register them takes a fifth of a second."""
    return Litestar(
        [
            *api.documentation.routes,
            *api.health.routes,
            *api.pages.routes,
            *api.oauth.routes,
            *api.v1.routes,
            *api.hooks.routes,
            create_static_files_router("/static", [STATIC], include_in_schema=False),
        ],
        dependencies=dependencies,
        exception_handlers=handlers,
        lifespan=[_lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=LARGEST_BODY,
        debug=False,
        pdb_on_exception=False,
    )


def join(app: Litestar, units: Units, gateway: Gateway, mailer: Mailer) -> Litestar:
    """Put behind the routes what they work with; the service closes it when it ends."""
    settings = units.settings
    app.state.update(
        {
            "units": units,
            "settings": settings,
            "gateway": gateway,
            "intake": Intake(units, gateway),
            "mailer": mailer,
            "hasher": Hasher(settings.password_workers),
            "client_keys": ClientKeys(settings, units.clock),
            "published_keys": keys.PublishedKeys(units),
            "destination": api.oauth.authorize.destination,
        }
    )
    routes = app.asgi_handler.app if isinstance(app.asgi_handler, Security) else app.asgi_handler
    # Around everything, since the framework runs no middleware for paths that it does not know.
    methods = {route.path_format: route.methods for route in app.routes if isinstance(route, HTTPRoute)}
    app.asgi_handler = Security(routes, settings, methods)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    units: Units = app.state.units
    gateway: Gateway = app.state.gateway
    mailer: Mailer = app.state.mailer
    try:
        async with units.open() as work:
            await subjects.check_secret(work)
        await keys.prepare(units)
        async with anyio.create_task_group() as background:
            if units.settings.worker:
                background.start_soon(worker.assemble(units, gateway, mailer).run)
            yield
            background.cancel_scope.cancel()
    finally:
        await gateway.close()
        await mailer.close()
        await units.close()
