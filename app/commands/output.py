"""What a command prints: results to standard output, everything said about them to the other."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STDERR = Console(stderr=True)

# A table that goes into a file or a pipe is not cut to the width of a screen that is not there.
PIPED_WIDTH = 200


def print_table(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    console.print(table)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def say(sentence: str, style: str = "") -> None:
    STDERR.print(Text(sentence, style), soft_wrap=True)
