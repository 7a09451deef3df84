"""Accounts that a network had before it joined: rehearsed, imported, and counted as their owners come."""

import csv
import io
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.languages import marked
from api.pages.rendering import page
from coop.errors import CoopError
from coop.networks import admins, networks
from coop.networks.moving import claiming, files, importing, progress, rehearsal
from coop.networks.moving.rehearsal import Note, Outcome, Rehearsal
from coop.networks.networks import Network
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork, Units

PATH = "/networks/{slug:str}/accounts"
LONGEST = 900_000
"""Characters; with its encoding the form stays below what the service takes. Longer lists go by the command."""
SHOWN = 50

OUTCOMES: dict[Outcome, str] = {
    "new": marked("new"),
    "changed": marked("imported before; brought up to date"),
    "unchanged": marked("imported before, exactly so"),
    "claimed": marked("claimed by its owner; nothing changes any more"),
    "bad_row": marked("more or fewer fields than the first line, or a very long id"),
    "bad_handle": marked("empty, over 64 characters, or with characters such as / or invisible ones"),
    "duplicate": marked("repeats a handle or an id of an earlier row; capitals make no difference"),
    "look_alike": marked("reads like another account's handle, with letters of another script"),
    "taken": marked("a member chose it on this network already; rename the account there first"),
    "conflict": marked("the id of one imported account and the handle of another"),
}
# That a handle is a member's at the cooperative is left out: a list of guesses would tell who they are.
NOTES: dict[Note, str] = {
    "irregular_handle": marked("a handle that new names may not have; it is kept exactly"),
    "resembles": marked("looks like another account's handle; both are kept"),
    "no_email": marked("no e-mail address: can be claimed by a link only"),
    "bad_email": marked("the e-mail address cannot be one: can be claimed by a link only"),
    "shared_email": marked("an e-mail address that other rows have too: its reader may claim one of them"),
    "renamed": marked("another handle than at the last import"),
}


class List(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends: the list, and whether to import it or only to say what would happen."""

    accounts: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""
    act: Annotated[str, msgspec.Meta(max_length=10)] = ""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form that is no more than its button."""


@get(PATH, include_in_schema=False)
async def show(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show how far the moving in has come, and ask for the list."""
    async with units.read() as work:
        network, own = await _admitted(work, signed_in, slug)
    if not own:
        async with units.open() as work:
            await admins.note_look(work, network, signed_in.account_id)
    return await _page(request, units, network)


@post(PATH, status_code=HTTPStatus.OK, include_in_schema=False)
async def bring_in(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[List],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Say what would become of each account on the list, or import it."""
    async with units.read() as work:
        network, _ = await _admitted(work, signed_in, slug)
    try:
        rows = files.read(data.accounts.encode())
        if data.act == "import":
            async with units.open() as work:
                found = await importing.carry_out(work, network.id, rows)
                await _note(work, network, signed_in, "network.accounts_imported", f"{len(rows)} rows")
        else:
            async with units.snapshot() as work:
                found = await rehearsal.rehearse(work, network.id, rows)
    except CoopError as refusal:
        return await _page(request, units, network, typed=data.accounts, errors={"accounts": refusal.message})
    done = data.act == "import"
    return await _page(request, units, network, typed="" if done else data.accounts, found=found, done=done)


@post(f"{PATH}/links", status_code=HTTPStatus.OK, include_in_schema=False)
async def links(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Make a link for every unclaimed account, and hand them over as a file: whoever has one can claim the account."""
    del data
    require_recent(request, signed_in, next_path=PATH.replace("{slug:str}", slug))
    async with units.open() as work:
        network, _ = await _admitted(work, signed_in, slug)
        made = await claiming.issue_links(work, network.id)
        await _note(work, network, signed_in, "network.claim_links_made", f"{len(made)} links")
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("handle", "url"), *made])
    return Response(
        written.getvalue().encode(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{network.slug}-links.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _admitted(work: UnitOfWork, viewer: Viewer, slug: str) -> tuple[Network, bool]:
    network = await networks.by_slug(work, slug)
    return network, await admins.require(work, network.id, viewer.account_id) == "network"


async def _note(work: UnitOfWork, network: Network, viewer: Viewer, act: str, what: str) -> None:
    await audit.record(work, act=act, reason=what, actor=viewer.account_id, subject=network.slug)


async def _page(
    request: AnyRequest,
    units: Units,
    network: Network,
    *,
    typed: str = "",
    found: Rehearsal | None = None,
    done: bool = False,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        reached = await progress.of(work, network.id)
        missing = await progress.unresolved(work, network.id, limit=SHOWN)
    rows = found.findings if found else []
    return page(
        "networks/accounts.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        network=network,
        here=PATH.replace("{slug:str}", network.slug),
        progress=reached,
        missing=missing,
        typed=typed,
        found=found,
        done=done,
        outcomes=OUTCOMES,
        notes=NOTES,
        stuck=[finding for finding in rows if finding.outcome in rehearsal.KEPT_OUT][:SHOWN],
        errors=errors or {},
    )


routes = [show, bring_in, links]
