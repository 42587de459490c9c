"""The seam between the store and the database under it: what each has to say for itself.

A back-end is a module with these functions: `sqlite` or `postgres`.
"""

from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL


class Backend(Protocol):
    SHARED: bool  # whether several processes may have it open at once

    def open_engine(self, url: URL) -> Engine: ...

    def reading(self, engine: Engine) -> Engine:
        """Its transactions see one moment, whatever is committed meanwhile."""
        ...

    def writing(self, engine: Engine) -> Engine:
        """Its transactions take turns, from the first statement to the commit."""
        ...

    def following(self, engine: Engine) -> Engine:
        """Likewise, and each statement sees what was committed before it."""
        ...

    def mark_erasure(self, connection: Connection) -> None: ...

    def finish_erasure(self, engine: Engine, *, at_start: bool = False) -> bool:
        """False when something of it has to wait for the next change."""
        ...

    def faults(self, connection: Connection) -> list[str]:
        """What is damaged in the database itself."""
        ...

    def snapshot_place(self, url: URL) -> Path:
        """Where a copy may lie for a while; nobody else uses the place."""
        ...

    def copy_into(self, engine: Engine, file: Path) -> None:
        """All that is committed now, as an SQLite database in a new file."""
        ...
