"""Streams: how far each of the processor's lists has been read, so that a crash or a refusal costs one page.

A pass reads everything created between two instants, a page at a time; the place is written down after each page. The
next pass begins a little before the end of the last, since objects may become visible late.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import CheckConstraint, String, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.billing.gateway import NotVisible
from coop.billing.lists import Page, Window
from coop.database import Base, changed, insert_once
from coop.unit_of_work import Units

T = TypeVar("T")
Fetch = Callable[[Window, str | None], Awaitable[Page[T]]]


class Stream(Base):
    """How far one list has been read; `since` and `until` name the pass that is under way, `after` the place in it."""

    __tablename__ = "stripe_streams"
    __table_args__ = (
        CheckConstraint("(since IS NULL) = (until IS NULL)", name="under_way"),
        CheckConstraint("after IS NULL OR since IS NOT NULL", name="place"),
        CheckConstraint("since <= until", name="forward"),
    )

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    since: Mapped[datetime | None] = mapped_column(default=None)
    until: Mapped[datetime | None] = mapped_column(default=None)
    after: Mapped[str | None] = mapped_column(String(255), default=None)
    done_until: Mapped[datetime | None] = mapped_column(default=None)
    """Everything created before that has been seen."""


async def last_pass(units: Units, name: str) -> datetime | None:
    """Return until when a list has been read to its end."""
    async with units.read() as work:
        stream = await work.session.get(Stream, name)
    return None if stream is None else stream.done_until


async def pages(
    units: Units, name: str, fetch: Fetch[T], *, start: datetime, overlap: timedelta | None
) -> AsyncIterator[tuple[T, ...]]:
    """Give the pages of one pass, going on where the last one was broken off.

    A page counts as read once the next one is asked for. The first pass begins at `start`; so does every one without an
    `overlap`. If somebody else reads the same list at this moment, the pages after theirs are left to them.
    """
    stream = await _begin(units, name, start=start, overlap=overlap)
    window, place = _window(stream), stream.after
    while True:
        try:
            page = await fetch(window, place)
        except NotVisible:
            if place is None:
                raise
            # What the place was named after is gone (events are kept for a month): the pass starts again.
            if not await _move(units, name, window, place, None):
                return
            place = None
            continue
        if page.items:
            yield page.items
        if page.after is None:
            await _finish(units, name, window)
            return
        if not await _move(units, name, window, place, page.after):
            return
        place = page.after


async def _begin(units: Units, name: str, *, start: datetime, overlap: timedelta | None) -> Stream:
    async with units.open() as work:
        await insert_once(
            work.session, Stream, name=name, since=None, until=None, after=None, done_until=None
        )
        stream = await work.session.get_one(Stream, name, populate_existing=True)
        if stream.since is None:
            known = None if overlap is None or stream.done_until is None else stream.done_until - overlap
            stream.since = min(work.now, start if known is None else max(known, start))
            stream.until = work.now
    return stream


def _window(stream: Stream) -> Window:
    if stream.since is None or stream.until is None:
        msg = f"no pass of {stream.name} is under way"
        raise ValueError(msg)
    return Window(since=stream.since, until=stream.until)


async def _move(units: Units, name: str, window: Window, old: str | None, new: str | None) -> bool:
    async with units.open() as work:
        return await changed(
            work.session,
            update(Stream)
            .where(Stream.name == name, Stream.until == window.until, Stream.after.is_not_distinct_from(old))
            .values(after=new),
        )


async def _finish(units: Units, name: str, window: Window) -> None:
    async with units.open() as work:
        await work.session.execute(
            update(Stream)
            .where(Stream.name == name, Stream.until == window.until)
            .values(since=None, until=None, after=None, done_until=window.until)
        )
