"""`face keys`: make, list and revoke the keys of callers, in a data folder or at a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands.options import Data, Json, Url, service_of

if TYPE_CHECKING:
    from app.gallery.keyring import Keyring

commands = typer.Typer(help="The keys of callers.", no_args_is_help=True)


@commands.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What or who will use it.")],
    role: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="Recognise and list; enrol and delete people too; everything."),
    ] = "read",
    rate: Annotated[
        str | None, typer.Option(help="Requests that it has, e.g. 100/minute; FACE_RATE.")
    ] = None,
    data: Data = None,
    url: Url = None,
) -> None:
    """Make a key and print it, this once."""
    if service := service_of(url, data):
        from app.commands.asking import asking

        with asking(service) as client:
            text = client.create_key(name, role, rate=rate).key
    else:
        with _keyring(data, create=True) as keyring:
            _, text = keyring.create(name, role, rate)
    typer.echo(text)


@commands.command("list")
def list_(as_json: Json = False, data: Data = None, url: Url = None) -> None:
    """List the keys, the revoked too, without their secrets."""
    from rich.table import Table

    from app.api.access_schemas import KeyOut
    from app.commands.output import print_json, print_table

    if service := service_of(url, data):
        from app.commands.asking import asking

        with asking(service) as client:
            keys = client.keys()
    else:
        with _keyring(data) as keyring:
            keys = [KeyOut.from_entity(key) for key in keyring.listed()]
    if as_json:
        print_json([key.model_dump(mode="json") for key in keys])
        return
    grid = Table("id", "name", "role", "rate", "made", "revoked", pad_edge=False)
    for key in keys:
        revoked = f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else ""
        made = f"{key.created_at:%Y-%m-%d}"
        grid.add_row(key.id, key.name, key.role, key.rate or "", made, revoked)
    print_table(grid)


@commands.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `face keys list` shows it.")],
    data: Data = None,
    url: Url = None,
) -> None:
    """Refuse a key from now on."""
    if service := service_of(url, data):
        from app.commands.asking import asking

        with asking(service) as client:
            client.revoke_key(id)
    else:
        with _keyring(data) as keyring:
            keyring.revoke(id)


@contextmanager
def _keyring(data: Path | None, *, create: bool = False) -> Iterator["Keyring"]:
    from app.gallery.keyring import Keyring
    from app.settings import read_settings
    from app.wiring import open_store

    with open_store(read_settings({"data_dir": data}), create=create) as store:
        yield Keyring(store)
