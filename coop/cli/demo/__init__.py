"""`coop demo`: a living cooperative of some sixty people on one machine, with a sandbox and a sample network."""

import importlib
import socket
from pathlib import Path

import click

from coop.cli.demo import companion
from coop.errors import Unavailable


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/demo"),
    help="Where the demo lives; it goes on from there the next time.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, help="Where the cooperative answers.")
@click.option(
    "--network-port", type=click.IntRange(1, 65534), default=8001, help="Where the sample network answers."
)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what tools need to know, once ready.",
)
@click.option("--fresh", is_flag=True, help="Throw the demo's data away and start over.")
def demo(data: Path, port: int, network_port: int, manifest: Path | None, *, fresh: bool) -> None:
    """Run a living demo cooperative with a sample network, and print what to open."""
    for wanted, option in (
        (port, "--port"),
        (network_port, "--network-port"),
        (network_port + 1, "--network-port"),
    ):
        require_free(wanted, option)
    with companion.started(2) as networks:
        # The networks get ready on the other core while this one imports the cooperative, which takes seconds, too.
        running = importlib.import_module("coop.cli.demo.running")
        running.run_demo(data.absolute(), port, network_port, manifest, fresh=fresh, networks=networks)


def require_free(port: int, option: str) -> None:
    """Refuse a port that somebody else listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Unavailable(f"port {port} is taken; choose another with {option}") from error
