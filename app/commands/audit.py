"""`face audit`: read the log of changes and identifications, and prove it whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Data, Url, service_of
from app.errors import FaceError

if TYPE_CHECKING:
    from app.gallery.audit import AuditLog

commands = typer.Typer(help="The log of changes and identifications.", no_args_is_help=True)


class Broken(FaceError):
    """The log is not as it was written."""

    code = "broken"


@commands.command("list")
def list_(
    after: Annotated[int, typer.Option(min=0, help="Only lines behind this number.")] = 0,
    data: Data = None,
    url: Url = None,
) -> None:
    """Print the log, a JSON object a line."""
    from app.api.access_schemas import AuditLineOut

    if service := service_of(url, data):
        from app.commands.asking import asking

        with asking(service) as client:
            for line in client.audit(after):
                typer.echo(line.model_dump_json())
        return
    with _log(data) as log:
        while lines := log.lines(after):
            for each in lines:
                typer.echo(AuditLineOut.from_entity(each).model_dump_json())
            after = lines[-1].seq


@commands.command()
def verify(
    noted: Annotated[
        str | None, typer.Option(help="What an earlier check printed; it has to be in the log.")
    ] = None,
    data: Data = None,
    url: Url = None,
) -> None:
    """Prove that no line was changed, taken out or cut off; print number and hash of the last."""
    if service := service_of(url, data):
        from app.commands.asking import asking

        with asking(service) as client:
            answer = client.verify_audit(noted)
        head, fault = answer.head, answer.fault
    else:
        with _log(data) as log:
            verdict = log.verify(noted)
        head, fault = verdict.head, verdict.fault
    typer.echo(head)
    if fault:
        raise Broken(f"the audit log is not as it was written: {fault}")


@contextmanager
def _log(data: Path | None) -> Iterator["AuditLog"]:
    from app.gallery.audit import AuditLog
    from app.settings import read_settings
    from app.wiring import open_store

    with open_store(read_settings({"data_dir": data})) as store:
        yield AuditLog(store)
