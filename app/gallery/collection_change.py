"""What is given of a collection's settings -> the columns of its row that change."""

from app.gallery.unchanged import UNCHANGED, Unchanged
from app.gallery.vectors import checked_threshold
from app.names import checked_description


def changed_columns(
    threshold: float | Unchanged | None,
    keep_crops: bool | Unchanged,
    description: str | Unchanged,
    retention_days: int | Unchanged | None,
) -> dict[str, object]:
    columns: dict[str, object] = {}
    if threshold is not UNCHANGED:
        columns["threshold"] = checked_threshold(threshold)
    if keep_crops is not UNCHANGED:
        columns["keep_crops"] = keep_crops
    if description is not UNCHANGED:
        columns["description"] = checked_description(description)
    if retention_days is not UNCHANGED:
        columns["retention_days"] = retention_days
    return columns
