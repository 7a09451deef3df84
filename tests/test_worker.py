from dataclasses import replace
from datetime import timedelta

import anyio
from sqlalchemy import func, select

from coop.clock import FixedClock
from coop.mail import Letter
from coop.outbox import Event, OutboxMessage
from coop.unit_of_work import UnitOfWork, Units
from coop.worker import LEASE, Job, Worker
from tests.conftest import Postbox


class BellRung(Event):
    """A fact of these tests."""

    bell: str


LETTER = Letter(to="ada@example.org", subject="Hello", body="Welcome.")


async def test_a_letter_leaves_once_and_is_forgotten(units: Units, postbox: Postbox) -> None:
    async with units.open() as work:
        work.send(LETTER)

    await Worker(units, postbox).drain()
    await Worker(units, postbox).drain()

    assert [letter.subject for letter in postbox.letters] == ["Hello"]
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


async def test_a_letter_with_a_key_never_leaves_twice(units: Units, postbox: Postbox) -> None:
    async with units.open() as work:
        work.send(LETTER, dedupe_key="notice-1")
    await Worker(units, postbox).drain()

    async with units.read() as work:
        row = (await work.session.scalars(select(OutboxMessage))).one()
    assert row.payload == b""
    assert row.done_at is not None
    assert row.dedupe_key == "notice-1"


async def test_a_letter_that_fails_is_tried_again_later(
    units: Units, postbox: Postbox, clock: FixedClock
) -> None:
    class Broken:
        async def send(self, letter: Letter) -> None:
            raise ConnectionError

        async def close(self) -> None:
            pass

    async with units.open() as work:
        work.send(LETTER)
    await Worker(units, Broken()).drain()
    await Worker(units, postbox).drain()
    assert postbox.letters == []

    clock.advance(timedelta(minutes=1))
    await Worker(units, postbox).drain()

    assert len(postbox.letters) == 1


async def test_the_effect_of_an_event_happens_once_though_many_work(units: Units, postbox: Postbox) -> None:
    heard: list[str] = []

    async def hear(work: UnitOfWork, event: Event) -> None:
        assert isinstance(event, BellRung)
        work.send(replace_subject(event.bell))
        heard.append(event.bell)

    async with units.open() as work:
        for number in range(50):
            work.publish(BellRung(bell=str(number)))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(Worker(units, postbox, handlers={BellRung: [hear]}).drain)
    await Worker(units, postbox, handlers={BellRung: [hear]}).drain()

    assert sorted(heard, key=int) == [str(number) for number in range(50)]
    assert len(postbox.letters) == 50


async def test_what_a_dead_worker_held_is_taken_over(
    units: Units, postbox: Postbox, clock: FixedClock
) -> None:
    async with units.open() as work:
        work.send(LETTER)
    dead = Worker(units, postbox)
    assert len(await dead._claim()) == 1

    await Worker(units, postbox).drain()
    assert postbox.letters == []
    clock.advance(LEASE + timedelta(seconds=1))
    await Worker(units, postbox).drain()

    assert len(postbox.letters) == 1


async def test_a_job_runs_once_in_its_interval_among_all_workers(
    units: Units, postbox: Postbox, clock: FixedClock
) -> None:
    runs: list[int] = []

    async def job() -> None:
        runs.append(1)

    worker = Worker(units, postbox, jobs=[Job("count", timedelta(hours=1), job)])
    await worker.drain()
    await replace(worker).drain()
    assert len(runs) == 1

    clock.advance(timedelta(hours=1))
    await worker.drain()

    assert len(runs) == 2


async def test_a_slow_job_delays_neither_letters_nor_other_jobs(units: Units, postbox: Postbox) -> None:
    began, other = anyio.Event(), anyio.Event()

    async def slow() -> None:
        began.set()
        await anyio.sleep_forever()

    async def quick() -> None:
        other.set()

    jobs = [Job("slow", timedelta(hours=1), slow), Job("quick", timedelta(hours=1), quick)]
    worker = Worker(units, postbox, jobs=jobs, idle=0.01)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(30):
            await began.wait()
            await other.wait()
            async with units.open() as work:
                work.send(LETTER)
            while not postbox.letters:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert [letter.subject for letter in postbox.letters] == ["Hello"]


def replace_subject(subject: str) -> Letter:
    return Letter(to=LETTER.to, subject=subject, body=LETTER.body)
