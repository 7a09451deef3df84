"""Proposing: writing a motion, seconding it, arguing against it, and putting it to the vote."""

import re
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages import clauses, votes
from api.pages.entrance import onward, told
from api.pages.rendering import page
from coop.errors import Invalid
from coop.governance import announcement, electorate, motions, patches
from coop.policies import Document, Voting, documents, in_force
from coop.settings import Settings
from coop.unit_of_work import Units

NOTHING = "words"
"""What a motion is about that changes no law by itself."""

CLASSES: tuple[Literal["ordinary", "constitutional"], ...] = ("ordinary", "constitutional")
FIELDS = 60
"""The most inputs that the form has."""

_AT = re.compile(r" - at `\$\.(\w+)")


class Words(msgspec.Struct, forbid_unknown_fields=True):
    """The words of a motion, as the form to amend them sends them."""

    text: Annotated[str, msgspec.Meta(max_length=100_000)] = ""
    argument_for: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class Against(msgspec.Struct, forbid_unknown_fields=True):
    """The argument against."""

    argument: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


@get("/votes/propose", include_in_schema=False)
async def propose(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    about: FromQuery[str] = "",
) -> Response[bytes]:
    """Ask what the motion is about, then for its words and for what changes."""
    async with units.read() as work:
        await electorate.require(work, signed_in.account_id)
        if about in clauses.KINDS:
            document = (await patches.target(work, about)).document
        elif about == NOTHING:
            document = None
        else:
            return page("votes/about.html", request, kinds=clauses.KINDS, errors={})
    return await _form(request, units, about, document, {})


@post("/votes/propose", include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[dict[str, str]],
    units: NamedDependency[Units],
    settings: NamedDependency[Settings],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Write the motion down as a draft, for others to second."""
    about = data.get("about", "")
    if len(data) > FIELDS or about not in {*clauses.KINDS, NOTHING}:
        raise Invalid("Choose what the motion is about.", field="about")
    document: Document | None = None
    if about != NOTHING:
        async with units.read() as work:
            document = (await patches.target(work, about)).document
    try:
        patch = _patch(document, data, settings) if document is not None else None
        async with units.open() as work:
            motion = await motions.draft(
                work,
                signed_in.account_id,
                title=data.get("title", ""),
                text=data.get("text", ""),
                argument_for=data.get("argument_for", ""),
                kind=None if document is None else about,
                patch=patch,
                motion_class="constitutional" if data.get("class") == "constitutional" else "ordinary",
            )
    except Invalid as refusal:
        found = _AT.search(refusal.message)
        field = refusal.field or (found[1] if found else "")
        if document is not None and field in document.__struct_fields__:
            field = f"law-{field}"
        errors = {"" if field in {"patch", "kind"} else field: refusal.message}
        return await _form(request, units, about, document, data, errors)
    return onward(motion.path)


@post("/votes/{motion_id:uuid}/second", include_in_schema=False)
async def second(
    motion_id: FromPath[UUID], units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Second a draft."""
    async with units.open() as work:
        motion = await motions.second(work, motion_id, signed_in.account_id)
    return onward(motion.path)


@post("/votes/{motion_id:uuid}/against", include_in_schema=False)
async def against(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    data: URLEncodedBody[Against],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Write the argument against."""
    try:
        async with units.open() as work:
            motion = await motions.argue_against(work, motion_id, signed_in.account_id, data.argument)
    except Invalid as refusal:
        return await votes.show(
            request,
            units,
            signed_in,
            motion_id,
            errors={refusal.field or "": refusal.message},
            argument=data.argument,
        )
    return onward(motion.path)


@get("/votes/{motion_id:uuid}/amend", include_in_schema=False)
async def amend(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show the words of one's own motion, to be amended."""
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
    if motion.proposer_id != signed_in.account_id:
        raise motions.NotYours
    words = Words(text=motion.text, argument_for=motion.argument_for)
    return page("votes/amend.html", request, motion=motion, words=words, errors={})


@post("/votes/{motion_id:uuid}/amend", include_in_schema=False)
async def amended(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    data: URLEncodedBody[Words],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Amend the words of one's own motion."""
    try:
        async with units.open() as work:
            motion = await motions.amend(
                work, motion_id, signed_in.account_id, text=data.text, argument_for=data.argument_for
            )
    except Invalid as refusal:
        async with units.read() as work:
            motion = await motions.get(work, motion_id)
        errors = told(request, {refusal.field or "": refusal.message})
        return page(
            "votes/amend.html",
            request,
            status=HTTPStatus.BAD_REQUEST,
            motion=motion,
            words=data,
            errors=errors,
        )
    return onward(motion.path)


@post("/votes/{motion_id:uuid}/withdraw", include_in_schema=False)
async def withdraw(
    motion_id: FromPath[UUID], units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Take one's own motion back."""
    async with units.open() as work:
        motion = await motions.withdraw(work, motion_id, signed_in.account_id)
    return onward(motion.path)


@post("/votes/{motion_id:uuid}/announce", include_in_schema=False)
async def announce(
    motion_id: FromPath[UUID], units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Freeze one's own motion and open its vote."""
    async with units.open() as work:
        motion = await announcement.announce(work, motion_id, signed_in.account_id)
    return onward(motion.path)


def _patch(document: Document, data: dict[str, str], settings: Settings) -> dict[str, object]:
    """Return the fields whose typed value is not what the law says."""
    patch: dict[str, object] = {}
    for field, old in _values(document).items():
        typed = data.get(f"law-{field}")
        if typed is None:
            continue
        new = clauses.read(field, typed, old, settings)
        if isinstance(old, str):
            # A browser sends a text without the line end that it closes with.
            new = old if str(new).strip() == old.strip() else new
        if new != old:
            patch[field] = new
    return patch


def _values(document: Document) -> dict[str, object]:
    return {
        field: list(value) if isinstance(value, tuple) else value
        for field, value in documents.values(document).items()
    }


async def _form(
    request: AnyRequest,
    units: Units,
    about: str,
    document: Document | None,
    data: dict[str, str],
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    async with units.read() as work:
        voting = (await in_force(work, Voting)).document
    settings: Settings = request.app.state.settings
    fields = [
        {
            "name": f"law-{field}",
            "label": clauses.label(field),
            "value": data.get(f"law-{field}", clauses.typed(field, value, settings)),
            "long": isinstance(value, str) and len(value) > votes.LONG_TEXT,
            "choice": isinstance(value, bool),
            "money": field in clauses.AMOUNTS and isinstance(value, int),
        }
        for field, value in (_values(document) if document is not None else {}).items()
    ]
    return page(
        "votes/propose.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        about=about,
        kind=clauses.KINDS.get(about, ""),
        fields=fields,
        voting=voting,
        data={name: data.get(name, "") for name in ("title", "text", "argument_for", "class")},
        longest=motions.LONGEST_ARGUMENT,
        errors=told(request, errors or {}),
    )


routes = [propose, submit, second, against, amend, amended, withdraw, announce]
