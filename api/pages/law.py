"""The law book: every policy in force, each version that ever was, what it changed, and the act behind it."""

import hashlib
from datetime import datetime
from typing import Literal

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.dependencies import Viewer
from api.pages import clauses
from api.pages.prose import prose
from api.pages.rendering import locale_of, page
from coop import policies
from coop.money import Money
from coop.policies import KINDS, Document, NoSuchPolicy, Version, documents
from coop.policies import differences as differ
from coop.policies.versions import spelled
from coop.unit_of_work import Units

AnyRequest = Request[object, object, State]
Stage = Literal["replaced", "in_force", "to_come"]


@get("/law", include_in_schema=False)
async def law_book(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Show what is law now, kind by kind."""
    del viewer
    async with units.read() as work:
        law = await policies.law(work)
        coming = await policies.coming(work)
    return page("law/book.html", request, law=list(law.values()), coming=coming, cash=Money)


@get("/law/{kind:str}", include_in_schema=False)
async def law_in_force(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    kind: FromPath[str],
) -> Response[bytes]:
    """Show the version of one kind that is in force, and the list of all."""
    del viewer
    async with units.read() as work:
        versions = await _history(units, kind)
        now = work.now
    shown = max((v for v in versions if v.effective_at <= now), key=lambda v: v.number, default=None)
    if shown is None:
        raise NoSuchPolicy
    return _page(request, versions, shown, now)


@get("/law/{kind:str}/{number:str}", include_in_schema=False)
async def law_version(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    kind: FromPath[str],
    number: FromPath[str],
) -> Response[bytes]:
    """Show one version of one kind."""
    del viewer
    async with units.read() as work:
        now = work.now
    versions = await _history(units, kind)
    return _page(request, versions, _numbered(versions, number), now)


@get("/law/{kind:str}/{number:str}/document.json", include_in_schema=False)
async def law_document(
    units: NamedDependency[Units], kind: FromPath[str], number: FromPath[str]
) -> Response[bytes]:
    """Give the very bytes whose SHA-256 names a version, so that anybody can check the chain."""
    version = _numbered(await _history(units, kind), number)
    document = spelled(version.document, number=version.number, replaces=version.replaces)
    return Response(
        document,
        media_type=MediaType.JSON,
        headers={
            "X-Fingerprint": hashlib.sha256(document).hexdigest(),
            "Cache-Control": "public, max-age=3600",
        },
    )


async def _history(units: Units, kind: str) -> list[Version[Document]]:
    if kind not in KINDS:
        raise NoSuchPolicy
    async with units.read() as work:
        versions: list[Version[Document]] = await policies.history(work, KINDS[kind])
    return versions


def _numbered(versions: list[Version[Document]], number: str) -> Version[Document]:
    found = next((version for version in versions if str(version.number) == number), None)
    if found is None:
        raise NoSuchPolicy
    return found


def _page(
    request: AnyRequest, versions: list[Version[Document]], shown: Version[Document], now: datetime
) -> Response[bytes]:
    previous = next((v for v in versions if v.number == shown.number - 1), None)
    following = next((v for v in versions if v.number == shown.number + 1), None)
    current = max((v.number for v in versions if v.effective_at <= now), default=0)
    text = getattr(shown.document, "text", None)

    def stage(version: Version[Document]) -> Stage:
        if version.number == current:
            return "in_force"
        return "to_come" if version.number > current else "replaced"

    return page(
        "law/version.html",
        request,
        version=shown,
        versions=[(version, stage(version)) for version in reversed(versions)],
        stage=stage(shown),
        previous=previous,
        following=following,
        changes=differ.between(previous.document, shown.document) if previous and text else [],
        rules=_changed(previous.document, shown.document, request) if previous else [],
        text=prose(text) if text else None,
        values=_rules(shown.document, request),
        cash=Money,
    )


def _rules(document: Document, request: AnyRequest) -> list[tuple[str, str]]:
    """Return what a document says besides its text, each rule with its name."""
    settings, locale = request.app.state.settings, locale_of(request)
    return [
        (clauses.label(field), clauses.shown(field, value, settings, locale))
        for field, value in documents.values(document).items()
        if field != "text"
    ]


def _changed(old: Document, new: Document, request: AnyRequest) -> list[tuple[str, str, str]]:
    """Return the rules that differ, with what they were and what they are."""
    pairs = zip(_rules(old, request), _rules(new, request), strict=True)
    return [(name, was, now) for (name, was), (_, now) in pairs if was != now]


routes = [law_book, law_in_force, law_version, law_document]
