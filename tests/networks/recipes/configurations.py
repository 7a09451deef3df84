"""Reads the configurations that recipes print, each in its own language, to see that they are well formed."""

import configparser
import re
import shlex
import tomllib
from urllib.parse import urlsplit

import yaml

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def languages(text: str) -> set[str]:
    """Return the languages of all fenced blocks."""
    return {found for found, _ in _FENCE.findall(text)}


def env(block: str) -> dict[str, str]:
    """Read `NAME=value` lines as a shell or dotenv would."""
    read = {}
    for line in filter(None, block.splitlines()):
        (word,) = shlex.split(line)
        name, equals, value = word.partition("=")
        assert equals == "=", line
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", name), line
        read[name] = value
    return read


def toml(block: str) -> dict[str, object]:
    """Read TOML."""
    return tomllib.loads(block)


def yaml_of(block: str) -> dict[str, object]:
    """Read YAML."""
    read: dict[str, object] = yaml.safe_load(block)
    return read


def ini(block: str) -> configparser.ConfigParser:
    """Read INI."""
    read = configparser.ConfigParser()
    read.optionxform = str
    read.read_string(block)
    return read


def command(block: str, program: str) -> list[str]:
    """Return the words of the command in a shell block that starts with `program`."""
    logical = block.replace("\\\n", " ")
    (line,) = [line for line in logical.splitlines() if line.startswith(program)]
    return shlex.split(line)


def options(words: list[str]) -> dict[str, list[str]]:
    """Return the long options of a command with their values, each as often as it was given."""
    found: dict[str, list[str]] = {}
    for index, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word.removeprefix("--").partition("=")
            following = words[index + 1] if index + 1 < len(words) else ""
            if not equals and not following.startswith("--"):
                value = following
            found.setdefault(name, []).append(value)
    return found


def apache(block: str) -> dict[str, list[str]]:
    """Return the directives of an Apache configuration with their words; sections must be closed."""
    found: dict[str, list[str]] = {}
    opened: list[str] = []
    for line in filter(None, map(str.strip, block.splitlines())):
        if line.startswith("</"):
            assert line == f"</{opened.pop()}>"
        elif line.startswith("<"):
            assert line.endswith(">")
            opened.append(line[1:].split()[0])
        else:
            name, *words = shlex.split(line)
            found.setdefault(name, []).extend(words)
    assert opened == []
    return found


def php(block: str) -> dict[str, str]:
    """Return the constants that PHP code defines."""
    assert block.count("(") == block.count(")")
    assert block.count("{") == block.count("}")
    defined = dict(re.findall(r"^define\( '(\w+)', '?([^']*?)'? \);$", block, re.MULTILINE))
    assert len(defined) == block.count("define(")
    return defined


def is_below(address: str, origin: str) -> bool:
    """Tell whether an address is on the network itself."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" == origin
