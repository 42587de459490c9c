"""The one table that turns the database's errors into the service's.

    sqlalchemy                    here
    IntegrityError                Conflict     another writer made the same thing first
    TimeoutError (of the pool)    Busy         every connection is in use
    any, and the connection fell  Unavailable  a commit under way may have been carried out or not
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
        if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
            raise Unavailable(
                "the connection to the store was lost; a change may have been made or not: "
                "send it again under its Idempotency-Key"
            ) from error
        raise Unavailable("the store could not be read or written; nothing was changed") from error
