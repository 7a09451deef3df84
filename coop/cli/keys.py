"""`coop keys`: list the keys that sign ID Tokens, and rotate them."""

from pathlib import Path

import click

from coop.authorization import rotation
from coop.authorization.clients import SIGNING_ALGORITHMS
from coop.authorization.keys import SigningKey
from coop.cli.configuration import data_option, opened, print_json, run, settings_of


@click.group()
def keys() -> None:
    """List the keys that sign ID Tokens, and rotate them."""


@keys.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List every key there ever was; those that are next, active or past are published."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.read() as work:
            found = [_told(key) for key in await rotation.listed(work)]
        if as_json:
            print_json(found)
            return
        for key in found:
            until = f" until {key['retires_at']}" if key["retires_at"] else ""
            click.echo(
                f"{key['algorithm']:<7}{key['state']:<9}{key['kid']:<45}from {key['activates_at']}{until}"
            )

    run(look())


@keys.command()
@data_option
@click.option("--algorithm", type=click.Choice(SIGNING_ALGORITHMS), help="Only this one; all, unless given.")
@click.option("--now", is_flag=True, help="A key is in wrong hands: replace all of them this moment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(data: Path | None, algorithm: str | None, *, now: bool, as_json: bool) -> None:
    """Have new keys take over: published at once, signing in 65 minutes, carried out by the worker.

    With --now the new key signs this moment, and all others of its algorithm are revoked: gone from the published keys,
    their private halves destroyed. ID Tokens and JWT access tokens that they signed are refused as soon as clients read
    the keys again; some keep them for 15 minutes. Nobody is signed out, and refresh tokens go on.
    """
    settings = settings_of(data)

    async def turn() -> None:
        done = []
        async with opened(settings) as units:
            for each in [algorithm] if algorithm else SIGNING_ALGORITHMS:
                if now:
                    done.append(
                        {"algorithm": each, "kid": await rotation.replace(units, each), "signs": "now"}
                    )
                else:
                    following = await rotation.rotate(units, each)
                    done.append(
                        {
                            "algorithm": each,
                            "kid": following.kid,
                            "signs": f"{following.activates_at:%Y-%m-%d %H:%M} UTC",
                        }
                    )
        if as_json:
            print_json(done)
            return
        for one in done:
            click.echo(f"{one['algorithm']:<7}{one['kid']:<45}signs from {one['signs']}")
        if now:
            click.echo(
                "\nServer processes publish the new keys within seconds; the old ones are worth nothing."
            )

    run(turn())


def _told(key: SigningKey) -> dict[str, str | None]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": key.state,
        "created_at": f"{key.created_at:%Y-%m-%d %H:%M}",
        "activates_at": f"{key.activates_at:%Y-%m-%d %H:%M}",
        "retires_at": None if key.retires_at is None else f"{key.retires_at:%Y-%m-%d %H:%M}",
    }
