"""The `coop` command: parses, opens a unit of work, prints.

Each command lives in a module of its own that is imported only when it is called, so that `coop --help` is quick.
"""

import importlib
import sys

import click

from coop.errors import CoopError

# name -> (module, what it is for); the help page needs nothing more.
COMMANDS = {
    "init": "Write the settings of a new cooperative, with secrets, and open its books.",
    "serve": "Serve the cooperative over HTTP.",
    "work": "Run the background worker on its own.",
    "renew": "Do all that is due of years that end, now.",
    "demo": "Run a living demo cooperative with a sample network.",
    "migrate": "Bring the database to this version.",
    "doctor": "Look for what is wrong or missing, and say what to do.",
    "clock": "Show or move the demo's clock.",
    "books": "Check and export the books.",
    "import": "Take members and subscriptions over from other tools.",
    "keys": "List and rotate the keys that sign.",
    "network": "Plug networks in, and see to them.",
    "client": "Let programs of the cooperative's own act in their own name.",
    "webhooks": "List what networks were told, and tell it again.",
    "role": "Give the first roles while the founding phase runs.",
    "sponsor": "List the organisations that sponsor, and let them be named.",
    "payments": "Bring in what came by bank transfer.",
    "member": "Look up one member's standing, and hand over or erase what is held about them.",
}


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        # A module cannot be named by a word of the language.
        module = importlib.import_module(f"coop.cli.{'importing' if cmd_name == 'import' else cmd_name}")
        command: click.Command = getattr(module, "import_" if cmd_name == "import" else cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="coop-accounts", prog_name="coop")
def cli() -> None:
    """Run the membership office of an ad-free internet."""


def main() -> None:
    """Run the command line; a refusal is one line on standard error and exit code 1."""
    try:
        cli(prog_name="coop")
    except CoopError as error:
        click.echo(f"coop: {error.message}", err=True)
        sys.exit(1)
