"""Options that several commands have, and what the environment says in their place."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.errors import BadRequest

Data = Annotated[
    Path | None,
    typer.Option(help="The data folder to work in; FACE_DATA_DIR, else ./data.", file_okay=False),
]
Url = Annotated[
    str | None,
    typer.Option(help="A running service to work with instead; FACE_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def service_of(url: str | None, data: Path | None) -> str | None:
    """The service to ask, if any: what is said on the command line wins over FACE_URL."""
    if url and data:
        raise BadRequest("give --url or --data, not both: a running service has its own data")
    return url or (None if data else os.environ.get("FACE_URL"))


def given_key() -> str | None:
    """The key to send to a service."""
    return os.environ.get("FACE_KEY")
