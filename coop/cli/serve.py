"""`coop serve`: serve the cooperative over HTTP."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import click
import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from coop import logs
from coop.billing.stripe_gateway import StripeGateway
from coop.cli.configuration import data_option, opened, run, settings_of
from coop.clock import MovableClock, SystemClock
from coop.database import make_engine
from coop.errors import Unavailable
from coop.mail import Mailbox, Mailer, SMTPMailer
from coop.settings import Settings


@click.command()
@data_option
@click.option("--host", help="The address to listen on; the issuer's in a demo, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on; the issuer's, else 8000.")
@click.option("--trust-proxy", default="127.0.0.1", help="Proxies whose X-Forwarded-For is believed.")
@click.option(
    "--processes",
    default=1,
    type=click.IntRange(1, 64),
    help="How many processes answer; one a core is plenty.",
)
@click.option(
    "--log", "form", type=click.Choice(["json", "text"]), default="json", help="How to write the log."
)
def serve(
    data: Path | None, host: str | None, port: int | None, trust_proxy: str, processes: int, form: str
) -> None:
    """Serve the cooperative over HTTP; put a proxy with TLS in front (docs/production.md)."""
    logs.configure(form="text" if form == "text" else "json")
    settings = settings_of(data)
    require_secrets(settings)
    run(require_schema(settings))
    configured = partial(
        configuration,
        host=host or "127.0.0.1",
        port=port or urlsplit(settings.issuer).port or 8000,
        trust_proxy=trust_proxy,
    )
    if processes == 1:
        uvicorn.Server(configured(assemble(settings))).run()
        return
    several = configured(partial(one_of_several, data, form), factory=True, workers=processes)
    # The socket is bound once and handed to each; the kernel deals connections out among those who listen.
    Multiprocess(several, [several.bind_socket()]).run()


def one_of_several(data: Path | None, form: str) -> Litestar:
    """Return the service in a process that was started for it, which knows nothing but what it is told."""
    logs.configure(form="text" if form == "text" else "json")
    return assemble(settings_of(data))


def require_secrets(settings: Settings) -> None:
    """Refuse to run without the secrets that protect people."""
    for key in ("secret_key", "pairwise_secret"):
        if not getattr(settings, key):
            raise Unavailable(f"{key} is not set; `coop init` makes one, or `openssl rand -hex 32`")


async def require_schema(settings: Settings) -> None:
    """Refuse to serve a database of another version: half of the answers would be wrong."""
    async with opened(settings):
        pass


def assemble(settings: Settings) -> Litestar:
    """Choose the implementations that `settings` call for and join them."""
    clock = MovableClock() if settings.demo else SystemClock()
    app = create_app(settings, StripeGateway(settings), mailer_of(settings), clock)
    # What was imported lives for as long as the process. To look through it all again took the collector fifty
    # milliseconds at a time, in which nobody was answered.
    gc.collect()
    gc.freeze()
    return app


def mailer_of(settings: Settings) -> Mailer:
    """Return SMTP where a server is named, else the mailbox."""
    if settings.smtp_host:
        return SMTPMailer(settings)
    return Mailbox(make_engine(settings.database_url, "writer"), SystemClock())


def server(
    app: ASGIApp, *, host: str, port: int, lifespan: Literal["auto", "off"] = "auto"
) -> uvicorn.Server:
    """Return an HTTP server for `app` within this process."""
    return uvicorn.Server(configuration(app, host=host, port=port, lifespan=lifespan))


def configuration(
    app: ASGIApp | Callable[[], ASGIApp],
    *,
    host: str,
    port: int,
    trust_proxy: str = "127.0.0.1",
    lifespan: Literal["auto", "off"] = "auto",
    factory: bool = False,
    workers: int = 1,
) -> uvicorn.Config:
    """Return how `app` is served: keeping quiet about itself, and within bounds."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan=lifespan,
        ws="none",
        factory=factory,
        workers=workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        forwarded_allow_ips=trust_proxy,
        limit_concurrency=1000,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=20,
        # A process cannot say that it lives before it has imported all this, which takes a busy machine its time.
        timeout_worker_healthcheck=60,
        h11_max_incomplete_event_size=32 * 1024,
    )
