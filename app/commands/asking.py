"""A running service, asked by a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.client import ClientError, FaceClient
from app.commands.options import given_key
from app.errors import Unavailable


@contextmanager
def asking(service: str) -> Iterator[FaceClient]:
    """What the service refuses becomes the command's one sentence."""
    try:
        with FaceClient(service, given_key()) as client:
            yield client
    except ClientError as exc:
        raise Unavailable(exc.detail) from exc
