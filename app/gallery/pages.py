"""A long list in pages. A cursor names the last item given, so people who come or go in between
shift no page."""

from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass

from app.entities import Person
from app.errors import BadRequest
from app.names import NAME_CHARACTERS, printable

MAX_LIMIT = 500


@dataclass(frozen=True)
class Page:
    items: tuple[Person, ...]
    next_cursor: str | None  # None: there is no more


def cursor_after(person: str) -> str:
    return urlsafe_b64encode(person.encode()).decode().rstrip("=")


def place_of(cursor: str) -> str:
    """The id behind which the next page begins."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError as error:  # of the codecs and of base64
        raise BadRequest("the cursor is not one that a page gave") from error


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"a page's limit must be 1 to {MAX_LIMIT}")
    return limit


def checked_search(search: str) -> str:
    if len(search) > NAME_CHARACTERS:
        raise BadRequest(f"a search may have {NAME_CHARACTERS} characters at most")
    return printable(search, "a search")
