"""Refusals: what the cooperative answers when it cannot do what was asked.

They know no HTTP. Each has a public `code` that is stable for programs and a message that tells a
person what to do next; `api.errors` maps the six bases to a status, a problem document or a page.
"""

from typing import ClassVar, Self


class Sentence(str):
    """A sentence with values in it, `Sentence("At least %(least)s.", least=amount)`; pages look its template up to translate it."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        """Put the values where the template names them."""
        made = super().__new__(cls, template % values)
        made.template = template
        made.values = values
        return made


class CoopError(Exception):
    """Any refusal of the cooperative; `code` is public and never changes its meaning."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something is not right"

    def __init__(self, message: str | None = None, *, field: str | None = None):
        """Say what to do in `message`; `field` names the input it stands beside."""
        doc = (type(self).__doc__ or self.title).strip().splitlines()[0]
        self.message = message or doc
        self.field = field
        super().__init__(self.message)


class Invalid(CoopError):
    """What was sent cannot be understood or is out of bounds."""

    code = "invalid"
    title = "Please check what you entered"


class NotSignedIn(CoopError):
    """Sign in first."""

    code = "not_signed_in"
    title = "Sign in first"


class NotAllowed(CoopError):
    """You may not do that."""

    code = "not_allowed"
    title = "Not allowed"


class NotFound(CoopError):
    """There is nothing here."""

    code = "not_found"
    title = "Not found"


class Refused(CoopError):
    """The request is well formed, but the state of things forbids it."""

    code = "refused"
    title = "That cannot be done now"


class TooMany(CoopError):
    """Too many attempts; wait a little and try again."""

    code = "too_many"
    title = "Too many attempts"

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after: int = 60):
        """`retry_after` is in whole seconds."""
        super().__init__(message, field=field)
        self.retry_after = retry_after


class Unavailable(CoopError):
    """The service cannot answer right now; nothing was changed. Try again shortly."""

    code = "unavailable"
    title = "Not available right now"

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after: int = 5):
        """`retry_after` is in whole seconds."""
        super().__init__(message, field=field)
        self.retry_after = retry_after
