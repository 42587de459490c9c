"""The one table that turns the database's errors into the service's.

    sqlalchemy                    here
    IntegrityError                Conflict     another writer made the same thing first
    TimeoutError (of the pool)    Busy         every connection is in use
    any other                     Unavailable  disk full, locked, damaged, unreachable

The database's own text may hold paths and values: it stays in the chained cause, for the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from app.errors import Busy, Conflict, Unavailable


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict("the change collides with another one that was stored first") from error
    except exc.TimeoutError as error:
        raise Busy("every connection to the store is in use; try again") from error
    except exc.SQLAlchemyError as error:
        raise Unavailable("the store could not be read or written; nothing was changed") from error
