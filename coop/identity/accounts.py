"""Accounts: who signs in. No real name, and an e-mail only where the co-op asks for one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.unit_of_work import new_id


class Account(Base):
    """A person's one account; its handle is immutable and never given to anybody else."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    handle: Mapped[str] = mapped_column(String(40), unique=True)
    created_at: Mapped[datetime]
    display_name: Mapped[str | None] = mapped_column(String(60), default=None)
    email: Mapped[str | None] = mapped_column(String(254), default=None, repr=False)
    email_verified_at: Mapped[datetime | None] = mapped_column(default=None)
    locale: Mapped[str] = mapped_column(String(5), default="en")
    password_digest: Mapped[str | None] = mapped_column(String(200), default=None, repr=False)
    locked_at: Mapped[datetime | None] = mapped_column(default=None)
    erased_at: Mapped[datetime | None] = mapped_column(default=None)
