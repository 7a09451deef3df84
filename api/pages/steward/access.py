"""Who may come to the desk, and what its pages share."""

from typing import Annotated

import msgspec

from api.dependencies import Viewer
from coop.billing.desk import waiting
from coop.stewardship import roles
from coop.unit_of_work import UnitOfWork

PATH = "/steward"

Typed = Annotated[str, msgspec.Meta(max_length=1000)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form that is no more than its button."""


async def admit(work: UnitOfWork, viewer: Viewer) -> bool:
    """Let stewards and treasurers in; tell whether this one may see and decide what is about money."""
    await roles.require(work, viewer.account_id, *waiting.MAY_LOOK)
    return "treasurer" in await roles.held(work, viewer.account_id)


async def admit_treasurer(work: UnitOfWork, viewer: Viewer) -> None:
    """Let treasurers in only: who sees what was paid sees who was sponsored, and no other steward is to know."""
    await roles.require(work, viewer.account_id, "treasurer")
