"""Runs the demo: seeds it at the first start, then serves the cooperative and the sandbox from one process."""

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import click
import msgspec

from api.sandbox.app import create_sandbox
from api.sandbox.sandbox import Webhook
from coop import logs, schema
from coop.billing import stripe_events
from coop.cli.configuration import SETTINGS_FILE, beside, run, units_of
from coop.cli.demo import companion, neighbours
from coop.cli.demo.life import live_two_years
from coop.cli.demo.mounting import PREFIX, BusinessClock, Mounted
from coop.cli.demo.story import Story
from coop.cli.demo.waiting import answering
from coop.cli.init import toml, write_settings
from coop.cli.serve import assemble, server
from coop.errors import Unavailable
from coop.settings import Settings, load

STORY = "story.json"


def run_demo(
    data: Path,
    port: int,
    network_port: int,
    manifest: Path | None,
    *,
    fresh: bool,
    networks: Sequence[companion.Companion],
) -> None:
    """Run a living demo cooperative with its sample networks, and print what to open."""
    # A demo speaks to a person; what went well is on its pages.
    logs.configure(form="text", level=logging.WARNING)
    if fresh:
        throw_away(data)
    if manifest is not None:
        # A manifest of an earlier run would tell a tool that this one is ready.
        manifest.unlink(missing_ok=True)
    settings = settings_for(data, port)
    with contextlib.suppress(KeyboardInterrupt):
        run(Demo(data, settings, network_port, manifest, networks).run())


def throw_away(data: Path) -> None:
    """Remove a demo's folder, and nothing that is not one."""
    if data.exists() and not (data / SETTINGS_FILE).exists() and any(data.iterdir()):
        raise Unavailable(f"{data} holds no demo; nothing was removed")
    shutil.rmtree(data, ignore_errors=True)


def settings_for(data: Path, port: int) -> Settings:
    """Return the demo's settings, made at the first start; the port may differ from start to start."""
    issuer = f"http://127.0.0.1:{port}"
    here = {"issuer": issuer, "stripe_api_base": f"{issuer}{PREFIX}"}
    path = data / SETTINGS_FILE
    if not path.exists():
        write_settings(
            data,
            demo=True,
            name="Commons Cooperative",
            private_targets=True,
            sponsorship_delay_hours=0,
            stripe_secret_key=f"sk_test_{secrets.token_hex(12)}",
            stripe_webhook_secret=f"whsec_{secrets.token_hex(16)}",
            **here,
        )
    kept: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    if kept | here != kept:
        # Commands that are run beside the demo must know where it answers this time.
        write_private(path, toml(kept | here).encode())
    return load(path, environ={}, defaults=beside(data))


class Demo:
    """One run of the demo: the cooperative and the sandbox in this process, the sample network in another."""

    def __init__(
        self,
        data: Path,
        settings: Settings,
        network_port: int,
        manifest: Path | None,
        networks: Sequence[companion.Companion],
    ):
        """Take what the command line said."""
        self.data = data
        self.settings = settings
        self.network_port = network_port
        self.manifest = manifest
        self.networks = networks
        self.port = int(settings.issuer.rpartition(":")[2])

    async def run(self) -> None:
        """Seed if nobody has, serve, and stop when told to."""
        story = await self.story()
        units = units_of(self.settings)
        story = await neighbours.move(units, story, self.network_port)
        write_private(self.data / STORY, msgspec.json.encode(story))
        clock = BusinessClock(units)
        await clock.look()
        sandbox = create_sandbox(
            url=self.settings.stripe_api_base,
            clock=clock,
            path=self.data / "sandbox.sqlite",
            webhook=Webhook(
                url=self.settings.url("/hooks/stripe"),
                secret=self.settings.stripe_webhook_secret,
                events=stripe_events.WANTED,
            ),
        )
        web = server(Mounted(assemble(self.settings), sandbox), host="127.0.0.1", port=self.port)
        try:
            async with sandbox.lifespan(), anyio.create_task_group() as group:
                group.start_soon(clock.follow)
                group.start_soon(self.announce, story)
                with stopping_in_order():
                    await web.serve()
                    group.cancel_scope.cancel()
        finally:
            await units.close()

    async def story(self) -> Story:
        """Return what the seeding wrote down; two years are lived through before the first start."""
        written = self.data / STORY
        if not written.exists():
            click.echo(
                "Seeding: sixty people live through two years (this happens once, and takes half a minute) …"
            )
            # An interrupted seeding leaves half a life behind, which nobody could trust.
            for leftover in self.data.glob("*.sqlite*"):
                leftover.unlink()
            await migrate(self.settings)
            return await live_two_years(self.data, self.settings, network_port=self.network_port)
        await migrate(self.settings)
        return msgspec.json.decode(written.read_bytes(), type=Story)

    async def announce(self, story: Story) -> None:
        """Wait until all answer, then tell people and tools."""
        await answering(self.settings.url("/health"))
        ports = (self.network_port, self.network_port + 1)
        for network, port, client, known in zip(
            self.networks, ports, story.clients, story.networks, strict=False
        ):
            network.begin(
                str(sample_network()),
                *("--issuer", self.settings.issuer, "--port", str(port), "--name", known.name),
                *("--client-id", client.client_id, "--client-secret", client.client_secret or ""),
            )
        for port in ports:
            await answering(f"http://127.0.0.1:{port}/")
        if self.manifest is not None:
            document = story.manifest(self.settings)
            write_private(self.manifest, json.dumps(document, indent=2).encode())
        click.echo(story.welcome(self.settings))


@contextlib.contextmanager
def stopping_in_order() -> Iterator[None]:
    """Ignore the signal that uvicorn hands on once it has shut down: it would end us before all else is closed."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sample_network() -> Path:
    """Return the sample network's file: beside the packages in a checkout, inside them in the wheel."""
    package = Path(__file__).parents[2]
    return next(p for p in (package / "_examples", package.parent / "examples") if p.is_dir()) / "network.py"


async def migrate(settings: Settings) -> None:
    """Bring the demo's database to this version."""
    units = units_of(settings)
    try:
        await schema.upgrade(units.writer)
    finally:
        await units.close()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
