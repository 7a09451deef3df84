"""`coop work`: run the background worker on its own."""

from pathlib import Path

import click

from coop import logs, worker
from coop.billing.stripe_gateway import StripeGateway
from coop.cli.configuration import data_option, opened, run, settings_of
from coop.cli.serve import mailer_of


@click.command()
@data_option
@click.option("--once", is_flag=True, help="Do what is due now, then stop.")
def work(data: Path | None, *, once: bool) -> None:
    """Deliver, send, renew, lapse and close; set `worker = false` in the settings of the servers then."""
    logs.configure()
    settings = settings_of(data)

    async def labour() -> None:
        async with opened(settings) as units:
            gateway = StripeGateway(settings)
            try:
                worker_of = worker.assemble(units, gateway, mailer_of(settings))
                await (worker_of.drain() if once else worker_of.run())
            finally:
                await gateway.close()

    run(labour())
