"""`coop network import`, `claim-links` and `accounts`: accounts that a network had before it joined."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coop.cli.configuration import data_option, opened, print_json, run, settings_of
from coop.errors import NotFound, Refused
from coop.networks import networks
from coop.networks.moving import claiming, files, importing, progress, rehearsal

if TYPE_CHECKING:
    from coop.networks.moving.rehearsal import Finding, Rehearsal

SHOWN = 50
"""Rows of each kind that are listed unless everything is asked for."""


@click.command(name="import")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@data_option
@click.option(
    "--rehearse", "--dry-run", "rehearse_only", is_flag=True, help="Say what would happen, change nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every row.")
def import_(slug: str, file: Path, data: Path | None, *, rehearse_only: bool, as_json: bool) -> None:
    """Import the accounts that the network SLUG had before, from the CSV FILE (handle, email, external_id).

    Nobody is written to. A second run of the same file changes nothing; rows that cannot be imported are listed and left
    out.
    """
    settings = settings_of(data)
    rows = files.read(file.read_bytes())

    async def bring_in() -> None:
        async with opened(settings) as units:
            if rehearse_only:
                async with units.snapshot() as work:
                    network = await networks.by_slug(work, slug)
                    found = await rehearsal.rehearse(work, network.id, rows)
            else:
                async with units.open() as work:
                    network = await networks.by_slug(work, slug)
                    found = await importing.carry_out(work, network.id, rows)
        if as_json:
            print_json(_document(found, rehearsed=rehearse_only))
        else:
            _print(found, rehearsed=rehearse_only)

    run(bring_in())


@click.command(name="claim-links")
@click.argument("slug")
@data_option
@click.option("--csv", "out", type=click.Path(path_type=Path), help="Write handle,url to this new file.")
@click.option("--handle", help="Make a link for this account only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def claim_links(slug: str, data: Path | None, out: Path | None, handle: str | None, *, as_json: bool) -> None:
    """Make a one-time link for every unclaimed account of the network SLUG, for the network to send to its owner.

    Each works for 30 days; links made earlier for the same accounts lead nowhere afterwards. Whoever has a link can claim
    the account: the file is readable by you alone.
    """
    settings = settings_of(data)

    async def make() -> None:
        async with opened(settings) as units, units.open() as work:
            network = await networks.by_slug(work, slug)
            links = await claiming.issue_links(work, network.id, handle)
            if handle is not None and not links:
                raise NotFound(f"{slug} has no unclaimed account {handle!r}")
            if out is not None:
                # Before the old links die with the commit, since a full disk must not leave people without any.
                _write(out, links)
        if out is not None:
            click.echo(f"{len(links)} links are in {out}.")
        elif as_json:
            print_json([{"handle": name, "url": url} for name, url in links])
        else:
            for name, url in links:
                click.echo(f"{name}  {url}")

    run(make())


@click.command()
@click.argument("slug")
@data_option
@click.option("--all", "everything", is_flag=True, help="List every unclaimed account, not the first fifty.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every unclaimed account.")
def accounts(slug: str, data: Path | None, *, everything: bool, as_json: bool) -> None:
    """Show how many imported accounts of the network SLUG have been claimed, and which have not."""
    settings = settings_of(data)

    async def look() -> None:
        async with opened(settings) as units, units.snapshot() as work:
            network = await networks.by_slug(work, slug)
            reached = await progress.of(work, network.id)
            limit = None if everything or as_json else SHOWN
            missing = await progress.unresolved(work, network.id, limit=limit)
        if as_json:
            print_json(
                {
                    "imported": reached.imported,
                    "claimed": reached.claimed,
                    "open": {"by_email": reached.by_email, "by_link": reached.by_link},
                    "expired": reached.expired,
                    "complete": reached.complete,
                    "unresolved": [
                        {"handle": one.handle, "external_id": one.external_id, "way": one.way}
                        for one in missing
                    ],
                }
            )
            return
        click.echo(
            f"imported {reached.imported}, claimed {reached.claimed}, open {reached.by_email} by e-mail and "
            f"{reached.by_link} by link only, expired {reached.expired}"
        )
        for one in missing:
            click.echo(f"  {one.way:<6} {one.handle}")
        left = reached.imported - reached.claimed - len(missing)
        if left:
            click.echo(f"  and {left} more; --all lists them")
        if reached.complete:
            click.echo("Every imported account has been claimed: the network's own login may be closed now.")
        elif reached.imported:
            click.echo("Keep the network's own login open until everybody has come.")

    run(look())


def _print(found: "Rehearsal", *, rehearsed: bool) -> None:
    done = found.outcomes
    for outcome, meaning in rehearsal.OUTCOMES.items():
        if done[outcome]:
            click.echo(f"{done[outcome]:>7}  {outcome:<18}{meaning}")
            if outcome in rehearsal.KEPT_OUT:
                _list([finding for finding in found.findings if finding.outcome == outcome])
    for note, meaning in rehearsal.NOTES.items():
        if found.notes[note]:
            click.echo(f"{found.notes[note]:>7}  {note:<18}{meaning}")
            if note != "no_email":
                _list([finding for finding in found.findings if note in finding.notes])
    click.echo("Nothing was changed: this was a rehearsal." if rehearsed else "Done.")


def _list(findings: "list[Finding]") -> None:
    for finding in findings[:SHOWN]:
        # As Python writes it, since the name may be what a terminal should not be told.
        line = f"{'':>11}line {finding.row.line}: {finding.row.handle[:80]!r}"
        if finding.variants:
            line += f" (free: {', '.join(finding.variants)})"
        click.echo(line)
    if len(findings) > SHOWN:
        click.echo(f"{'':>11}and {len(findings) - SHOWN} more; --json lists them")


def _document(found: "Rehearsal", *, rehearsed: bool) -> dict[str, object]:
    return {
        "rehearsed": rehearsed,
        "outcomes": {outcome: found.outcomes[outcome] for outcome in rehearsal.OUTCOMES},
        "notes": {note: found.notes[note] for note in rehearsal.NOTES},
        "rows": [
            {
                "line": finding.row.line,
                "handle": finding.row.handle,
                "outcome": finding.outcome,
                "notes": list(finding.notes),
                "variants": list(finding.variants),
            }
            for finding in found.findings
        ],
    }


def _write(out: Path, links: list[tuple[str, str]]) -> None:
    try:
        out.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise Refused(f"{out} exists already; nothing was changed") from error
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("handle", "url"))
        writer.writerows(links)
