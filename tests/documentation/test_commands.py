from pathlib import Path

import click
import pytest

from coop.cli import COMMANDS, cli

DOCS = Path(__file__).parents[2] / "docs"


def leaves() -> list[str]:
    found = []
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += [f"coop {name} {child}" for child in command.list_commands(context)]
        else:
            found.append(f"coop {name}")
    return found


@pytest.mark.parametrize("command", leaves())
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in (DOCS / "commands.md").read_text(encoding="utf-8")
