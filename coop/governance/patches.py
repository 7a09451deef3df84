"""Patches: what a motion would change in a kind of law, as a JSON merge (RFC 7396) over one version's document.

A patch names the hash of the version that it was written against, so that nobody ever votes on a change to a text
that meanwhile became another.
"""

from dataclasses import dataclass

import msgspec

from coop.errors import Invalid
from coop.policies import KINDS, Document, Version, documents, latest
from coop.unit_of_work import UnitOfWork

LONGEST = 100_000
"""Characters; the longest text of law fits, with room."""


class BadPatch(Invalid):
    """That change cannot be made: name fields of this law and their new values."""

    code = "bad_patch"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of law with its value before and after."""

    field: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to become law in the place of the version with this hash."""

    document: Document
    replaces: str


async def target(work: UnitOfWork, kind: str) -> Version[Document]:
    """Return the version that a patch of `kind` is written against: the latest, also if it is not yet in force."""
    if kind not in KINDS:
        raise BadPatch("There is no law of that kind.", field="kind")
    found: Version[Document] = await latest(work, KINDS[kind])
    return found


def read(text: str) -> dict[str, object]:
    """Read the JSON object of a patch."""
    if len(text) > LONGEST:
        raise BadPatch("The change is too long.", field="patch")
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadPatch("A change is a JSON object of fields and their new values.", field="patch") from error


def write(patch: dict[str, object]) -> str:
    """Return the one spelling of a patch that is stored, shown on the rule card and hashed with it."""
    return msgspec.json.encode(patch, order="sorted").decode()


def apply(document: Document, patch: dict[str, object]) -> Document:
    """Return the document that `patch` makes of `document`; every bound of every field is checked."""
    if "kind" in patch or not patch:
        raise BadPatch(field="patch")
    merged = _merge(documents.values(document), {"kind": document.kind()} | patch)
    changed = documents.read(msgspec.json.encode(merged))
    if documents.canonical(changed) == documents.canonical(document):
        raise BadPatch("That changes nothing: every value is what the law says already.", field="patch")
    return changed


def changes(old: Document, new: Document) -> list[Change]:
    """Return the fields in which two documents differ, in the order of the law."""
    before, after = documents.values(old), documents.values(new)
    return [
        Change(name, before.get(name), after.get(name))
        for name in after
        if before.get(name) != after.get(name)
    ]


def _merge(old: object, patch: object) -> object:
    if patch is None:
        raise BadPatch("A field of law cannot be taken away; give it a new value.", field="patch")
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    return old | {key: _merge(old.get(key), value) for key, value in patch.items()}
