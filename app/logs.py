"""What the service logs: a line for each event, as JSON or as text, to standard error.

Of a record go out the time, the level, the message and what was logged as `facts`; of an exception
its kind alone, as its text may hold what a log may not.
"""

import json
import logging
import time
import warnings
from typing import Any, Literal

Format = Literal["json", "text"]


def to_stderr(level: str, form: Format) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Of pictures with broken notes Pillow warns beside the log, and each text is remembered for
    # good: hostile pictures could fill the memory with them.
    warnings.filterwarnings("ignore", module=r"PIL\.")


class JsonLines(logging.Formatter):
    """One JSON object a line; the facts stand in it key by key."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_line(record))


class TextLines(logging.Formatter):
    """`TIME LEVEL EVENT key=value ...`; what would break a line or a value is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        head = [line.pop("time"), line.pop("level"), _plain(line.pop("event"))]
        return " ".join([*head, *(f"{key}={_value(value)}" for key, value in line.items())])


def _line(record: logging.LogRecord) -> dict[str, Any]:
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **getattr(record, "facts", {}),
    }
    if record.exc_info and record.exc_info[0]:
        line["error"] = record.exc_info[0].__name__
    return line


def _value(value: Any) -> str:
    bare = isinstance(value, str) and value.isprintable() and not set(value) & set(' "=')
    return value if bare and value else json.dumps(value)


def _plain(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
