"""`face people`: who is enrolled, as a table or as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from app.entities import Person


def table(people: Sequence[Person]) -> Table:
    grid = Table(header_style="bold", pad_edge=False)
    for column in ("person", "name"):
        grid.add_column(column, overflow="fold")
    grid.add_column("faces", justify="right")
    grid.add_column("since", no_wrap=True)
    for person in people:
        since = person.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        grid.add_row(Text(person.id), Text(person.name), str(person.faces), since)
    return grid


def as_json(people: Sequence[Person]) -> list[dict[str, Any]]:
    return [
        {
            "person": person.id,
            "name": person.name,
            "faces": person.faces,
            "created_at": person.created_at.isoformat(),
            "metadata": dict(person.metadata),
        }
        for person in people
    ]
