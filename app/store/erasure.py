"""A note, left by the query that deletes or overwrites: this transaction erases something.

Left there and not by its callers, so that none can forget it; `Store.write` reads it at the end.
"""

from sqlalchemy import Connection

_KEY = "erases"


def note(connection: Connection) -> None:
    connection.info[_KEY] = True


def take(connection: Connection) -> bool:
    """Whether there is a note; it is taken away."""
    return bool(connection.info.pop(_KEY, False))
