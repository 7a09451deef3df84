"""A statement of the bank account, brought in by a treasurer: first what would happen, then the same for good."""

from http import HTTPStatus
from typing import Literal

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import MultipartBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import told
from api.pages.rendering import page
from api.pages.steward.access import PATH, admit_treasurer
from coop.billing.offline import matching, statements
from coop.billing.offline.matching import Report
from coop.errors import Invalid
from coop.stewardship import audit
from coop.unit_of_work import Units

HERE = f"{PATH}/statement"


class Upload(msgspec.Struct, forbid_unknown_fields=True):
    """The file, and how the bank writes."""

    file: UploadFile | None = None
    preset: Literal["generic", "camt"] = "generic"
    encoding: Literal["", "windows-1250"] = ""
    decimal: Literal["auto", "comma", "point"] = "auto"
    dates: Literal["auto", "dmy", "mdy"] = "auto"
    what: Literal["rehearse", "import"] = "rehearse"


@get(HERE, include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask for the file."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
    return _page(request, Upload())


@post(HERE, status_code=HTTPStatus.OK, include_in_schema=False)
async def bring_in(
    request: AnyRequest,
    data: MultipartBody[Upload],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Say what an import would do, or do it."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
    try:
        statement = statements.read(
            await _content(data),
            units.settings.money,
            preset=data.preset,
            encoding=data.encoding or None,
            decimal=data.decimal,
            dates=data.dates,
        )
    except Invalid as refusal:
        return _page(request, data, errors={refusal.field or "file": refusal.message})
    if data.what == "rehearse":
        return _page(request, data, report=await matching.rehearse(units, statement))
    report = await matching.bring_in(units, statement)
    async with units.open() as work:
        await audit.record(
            work,
            act="payments.imported",
            reason="A statement of the bank account",
            actor=signed_in.account_id,
            subject=f"{len(report.verdicts)} new of {len(statement.lines)}",
        )
    return _page(request, data, report=report, done=True)


async def _content(data: Upload) -> bytes:
    content = b"" if data.file is None else await data.file.read()
    if not content:
        raise Invalid("Choose the file that your bank gave you.", field="file")
    return content


def _page(
    request: AnyRequest,
    given: Upload,
    *,
    report: Report | None = None,
    done: bool = False,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    return page(
        "steward/statement.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        given=given,
        report=report,
        counts={} if report is None else report.count(),
        done=done,
        errors=told(request, errors or {}),
    )


routes = [form, bring_in]
