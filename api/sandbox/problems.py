"""Stripe's error bodies: what a refused request is answered with, and under which status."""

from typing import Any

Doc = dict[str, Any]
"""A Stripe object as JSON. Its shape is Stripe's, held against the published description by the tests."""


class StripeProblem(Exception):
    """A refusal in Stripe's form; what the request wrote is undone unless `keep` says otherwise."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        **more: object,
    ):
        """`keep` commits what was written: a declined charge is a fact, although the answer is an error."""
        super().__init__(message)
        self.status = status
        self.keep = keep
        error: Doc = {"message": message, "type": kind}
        if code is not None:
            error["code"] = code
            error["doc_url"] = f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"
        if param is not None:
            error["param"] = param
        self.error = error | {key: value for key, value in more.items() if value is not None}

    @property
    def body(self) -> Doc:
        """The JSON that the caller reads."""
        return {"error": self.error}


def missing(param: str) -> StripeProblem:
    """Say that a required parameter was left out."""
    return StripeProblem(f"Missing required param: {param}.", code="parameter_missing", param=param)


def no_such(kind: str, name: str, param: str = "id") -> StripeProblem:
    """Say that no object has this id: 404 when the address names it, 400 when a parameter does."""
    status = 404 if param == "id" else 400
    return StripeProblem(f"No such {kind}: '{name}'", status=status, code="resource_missing", param=param)
