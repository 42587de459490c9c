"""`face fsck`: whether what is stored is whole, and the index agrees with it."""

from rich.table import Table
from rich.text import Text

from app.client import ClientError, FaceClient
from app.errors import Unavailable
from app.gallery import Finding
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery


def here(settings: Settings, *, repair: bool) -> list[Finding]:
    analyzer = build_analyzer(settings)
    try:
        # An index in memory is made from the store when the gallery opens.
        gallery = build_gallery(settings, analyzer)
        try:
            return gallery.inspect(repair=repair)
        finally:
            gallery.close()
    finally:
        analyzer.close()


def at_service(url: str, key: str | None, *, repair: bool) -> list[Finding]:
    try:
        with FaceClient(url, key) as client:
            answer = client.fsck(repair=repair)
    except ClientError as exc:
        raise Unavailable(exc.detail) from exc
    return [
        Finding(found.part, found.faults, found.said, found.mended) for found in answer.findings
    ]


def table(findings: list[Finding]) -> Table:
    grid = Table(header_style="bold", pad_edge=False)
    grid.add_column("part", no_wrap=True)
    grid.add_column("")
    grid.add_column("found", overflow="fold")
    for finding in findings:
        grid.add_row(finding.part, _status(finding), Text(finding.said))
    return grid


def _status(finding: Finding) -> Text:
    if finding.mended:
        return Text("mended", "yellow")
    return Text("ok", "green") if finding.ok else Text("fail", "bold red")
