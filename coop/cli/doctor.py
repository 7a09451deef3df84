"""`coop doctor`: look for what is wrong or missing, and say what to do."""

import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import click
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from coop import policies, schema
from coop.authorization import probing, rotation
from coop.billing.reconciliation import differences, runs
from coop.cli.configuration import data_option, print_json, require_database, run, settings_of, units_of
from coop.errors import CoopError
from coop.outbox import OutboxMessage, Scheduled
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

LATE = timedelta(minutes=15)
RECONCILED = timedelta(hours=3)
"""The books are held against Stripe hourly; a run of a great many objects may take its time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `do` says how to mend it."""

    what: str
    state: Literal["good", "warning", "bad"]
    do: str = ""


@click.command()
@data_option
@click.option("--offline", is_flag=True, help="Call no network.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(data: Path | None, *, offline: bool, as_json: bool) -> None:
    """Look for what is wrong or missing, and say what to do; exit code 1 if something is bad."""
    findings: list[Finding] = []

    async def examine() -> None:
        settings = settings_of(data)
        findings.extend(look_at_settings(settings))
        findings.extend([finding async for finding in look_at_database(settings, offline=offline)])

    try:
        run(examine())
    except CoopError as error:
        findings.append(Finding("configuration", "bad", error.message))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"good": "ok ", "warning": "?  ", "bad": "BAD"}[finding.state]
            click.echo(f"{mark} {finding.what}" + (f": {finding.do}" if finding.do else ""))
    if any(finding.state == "bad" for finding in findings):
        sys.exit(1)


def look_at_settings(settings: Settings) -> list[Finding]:
    """Say which settings would hurt people or stop the service."""
    found = []
    for key in ("secret_key", "pairwise_secret"):
        if getattr(settings, key):
            found.append(Finding(key, "good"))
        else:
            found.append(Finding(key, "bad", "not set; make one with `openssl rand -hex 32`"))
    if settings.demo:
        found.append(
            Finding("demo", "warning", "this is a demo: plain http, open registration, a movable clock")
        )
    else:
        live = settings.stripe_secret_key.startswith(("sk_live_", "rk_live_"))
        if not settings.stripe_secret_key:
            found.append(Finding("stripe", "bad", "no stripe_secret_key; nobody can pay"))
        elif not live:
            found.append(Finding("stripe", "warning", "the key is a test key; no real money will arrive"))
        if not settings.stripe_webhook_secret:
            found.append(
                Finding(
                    "stripe webhooks",
                    "bad",
                    f"add the endpoint {settings.url('/hooks/stripe')} at Stripe and set stripe_webhook_secret",
                )
            )
        if not settings.smtp_host:
            found.append(
                Finding("mail", "bad", "no smtp_host; receipts, notices and votes would not be announced")
            )
        if settings.private_targets:
            found.append(
                Finding(
                    "private_targets",
                    "bad",
                    "networks could make this service call your private hosts; set it to false",
                )
            )
    return found


async def look_at_database(settings: Settings, *, offline: bool = False) -> AsyncIterator[Finding]:
    """Say whether the database can be reached, is of this version, and is being worked on."""
    require_database(settings)
    units = units_of(settings)
    try:
        if await schema.behind(units.writer):
            yield Finding("database", "bad", "its schema is not of this version; run `coop migrate`")
            return
        yield Finding("database", "good")
        async for finding in look_inside(units):
            yield finding
        for probed in await probing.probe(units, offline=offline):
            yield Finding(f"network {probed.slug}: {probed.what}", probed.state, probed.do)
    except (SQLAlchemyError, OSError) as error:
        yield Finding("database", "bad", f"cannot be used ({type(error).__name__}); check database_url")
    finally:
        await units.close()


async def look_inside(units: Units) -> AsyncIterator[Finding]:
    """Say what the tables tell about the law and the worker."""
    async with units.read() as work:
        if await policies.law(work):
            yield Finding("founding policies", "good")
        else:
            yield Finding("founding policies", "bad", "none are in force; `coop init` adopts them")
        yield await look_at_worker(work)
        yield await look_at_keys(work)
        yield await look_at_reconciliation(work)
        stuck = await work.session.scalar(
            select(func.count()).where(OutboxMessage.failure.is_not(None), OutboxMessage.done_at.is_(None))
        )
        if stuck:
            yield Finding(
                "outbox",
                "warning",
                f"{stuck} letters or events failed at least once and will be tried again; see the log",
            )


async def look_at_worker(work: UnitOfWork) -> Finding:
    """Say whether somebody does the recurring jobs."""
    oldest = await work.session.scalar(select(func.min(Scheduled.due_at)))
    if oldest is None:
        return Finding(
            "worker", "warning", "no job has run yet; start `coop serve`, or `coop work` if worker = false"
        )
    if oldest < work.wall - LATE:
        return Finding(
            "worker", "bad", f"jobs have been waiting since {oldest:%Y-%m-%d %H:%M} UTC; is a worker running?"
        )
    return Finding("worker", "good")


async def look_at_reconciliation(work: UnitOfWork) -> Finding:
    """Say when the books were last held against Stripe, and how many differences are open."""
    last = next(iter(await runs.latest(work)), None)
    if last is None:
        return Finding(
            "reconciliation",
            "warning",
            "the books were never held against Stripe; the worker does it hourly, or `coop books reconcile` now",
        )
    found = await differences.count(work)
    when = f"last {last.began_at:%Y-%m-%d %H:%M} UTC"
    if found:
        return Finding(
            "reconciliation",
            "warning",
            f"{found} differences with Stripe are open, see `coop books differences`; {when}",
        )
    if last.failed:
        return Finding("reconciliation", "warning", f"not finished: {last.failed}; see the log; {when}")
    if last.began_at < work.wall - RECONCILED:
        return Finding("reconciliation", "bad", f"{when}; is a worker running?")
    return Finding(f"reconciliation ({when}, 0 differences)", "good")


async def look_at_keys(work: UnitOfWork) -> Finding:
    """Say whether there are keys to sign with, and whether they are followed in time."""
    if not await rotation.listed(work):
        return Finding("signing keys", "warning", "none yet; the first start of `coop serve` makes them")
    faults = await rotation.faults(work)
    return Finding("signing keys", "bad", "; ".join(faults)) if faults else Finding("signing keys", "good")
