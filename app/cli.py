"""The `face` command: what can be asked, and how a fault is said. The work is in `commands/`.

Everything heavy is imported inside the commands, so that `face --help` answers at once.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands import audit, keys
from app.commands.options import Data, Json, Url, given_key, service_of
from app.errors import FaceError

if TYPE_CHECKING:
    from app.commands.target import Target

DEFAULT_COLLECTION = "default"
FAILED = 1

cli = typer.Typer(
    name="face",
    help="Face recognition: a photo goes in, a person or an honest 'unknown' comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

cli.add_typer(keys.commands, name="keys")
cli.add_typer(audit.commands, name="audit")

Collection = Annotated[str, typer.Option(help="The collection of people.")]


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000.")] = None,
    data: Data = None,
    first_key: Annotated[
        bool, typer.Option("--first-key", help="Make an admin's key and print it, if none exists.")
    ] = False,
) -> None:
    """Run the service."""
    from app.main import serve as run
    from app.settings import read_settings

    run(read_settings({"host": host, "port": port, "data_dir": data}), first_key=first_key)


@cli.command()
def enroll(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds a folder per person.")],
    collection: Collection = DEFAULT_COLLECTION,
    faces: Annotated[
        Literal["one", "largest"],
        typer.Option(help="Of a picture with several faces: refuse it, or take the largest."),
    ] = "one",
    report: Annotated[
        Path, typer.Option(help="Where to write the refused pictures and why.", dir_okay=False)
    ] = Path("refused.csv"),
    data: Data = None,
    url: Url = None,
) -> None:
    """Enrol a folder of people; run it again to go on."""
    from app.commands.enroll import run

    with _target(url, data) as target:
        tally = run(target, folder, report, collection=collection, faces=faces)
    if not tally.enrolled and not tally.before:
        raise typer.Exit(FAILED)


@cli.command()
def identify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures to look at.")],
    collection: Collection = DEFAULT_COLLECTION,
    top_k: Annotated[int, typer.Option(min=1, max=100, help="Candidates for each face.")] = 1,
    threshold: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="Least cosine of a match; the collection's own."),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(help="Write the pictures with boxes and names to this file or folder."),
    ] = None,
    as_json: Json = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Say who is in the pictures, or that nobody known is."""
    from app.commands import identify as command
    from app.commands.output import print_json, print_table

    with _target(url, data) as target:
        answers = list(
            command.identify(target, files, collection=collection, top_k=top_k, threshold=threshold)
        )
    written = command.draw_answers(answers, draw) if draw else []
    if as_json:
        print_json(command.as_json(answers))
    else:
        print_table(command.table(answers))
        for path in written:
            typer.echo(f"drawn: {path}")
    if any(answer.refusal for answer in answers):
        raise typer.Exit(FAILED)


@cli.command()
def people(
    search: Annotated[str | None, typer.Option(help="Only ids and names with this text.")] = None,
    collection: Collection = DEFAULT_COLLECTION,
    as_json: Json = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """List who is enrolled."""
    from app.commands import people as command
    from app.commands.output import print_json, print_table

    with _target(url, data) as target:
        found = list(target.people(collection=collection, search=search))
    if as_json:
        print_json(command.as_json(found))
    else:
        print_table(command.table(found))


@cli.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to write.")],
    data: Data = None,
    url: Url = None,
) -> None:
    """Write everything that is stored to one file, from a running service too."""
    from app.commands import backup as command
    from app.settings import read_settings

    service = service_of(url, data)
    if service:
        manifest = command.from_service(file, service, given_key())
    else:
        manifest = command.from_folder(file, read_settings({"data_dir": data}))
    typer.echo(command.sentence(manifest))


@cli.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `face backup` wrote.")],
    data: Data = None,
) -> None:
    """Make a data folder of a backup; a folder that holds anything is refused."""
    from app.commands import backup as command
    from app.settings import read_settings

    typer.echo(command.sentence(command.restore(file, read_settings({"data_dir": data}))))


@cli.command("verify-backup")
def verify_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `face backup` wrote.")],
) -> None:
    """Prove that a backup is whole and can be restored."""
    from app.commands import backup as command

    typer.echo(command.sentence(command.verify(file)))


@cli.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write.")],
    data: Data = None,
    url: Url = None,
) -> None:
    """Write everything that is stored as JSON Lines and NumPy, for other programs."""
    from app.commands import export as command
    from app.settings import read_settings

    service, settings = service_of(url, data), read_settings({"data_dir": data})
    if service:
        manifest = command.from_service(folder, service, given_key(), settings)
    else:
        manifest = command.from_folder(folder, settings)
    typer.echo(command.sentence(manifest))


@cli.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `face export` wrote.")],
    data: Data = None,
) -> None:
    """Take an export into a data folder, whole or not at all."""
    from app.commands import export as command
    from app.settings import read_settings

    typer.echo(command.sentence(command.take(folder, read_settings({"data_dir": data}))))


@cli.command()
def fsck(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Check that what is stored is whole, and that the index agrees with it."""
    from app.commands import fsck as command
    from app.commands.output import print_table
    from app.settings import read_settings

    service = service_of(url, data)
    if service:
        findings = command.at_service(service, given_key(), repair=repair)
    else:
        findings = command.here(read_settings({"data_dir": data}), repair=repair)
    print_table(command.table(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


@cli.command()
def reembed(
    collection: Collection = DEFAULT_COLLECTION,
    back: Annotated[
        bool, typer.Option("--back", help="Back to the model that it went by before.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="The collection's own, for scores of the new model."),
    ] = None,
    forget_old: Annotated[
        bool, typer.Option("--forget-old", help="Delete the vectors of the other model.")
    ] = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Move a collection to the model that is served, by the crops it kept."""
    from app.commands import reembed as command
    from app.settings import read_settings

    service = service_of(url, data)
    place = (
        command.at_service(service, collection)
        if service
        else command.here(read_settings({"data_dir": data}), collection)
    )
    with place as mover:
        if forget_old:
            typer.echo(command.forget(mover))
        else:
            typer.echo(command.move(mover, back=back, threshold=threshold))


@cli.command("rotate-encryption-key")
def rotate_encryption_key(
    new_key_file: Annotated[
        Path | None, typer.Option(help="Holds the new key: 32 bytes in base64.", dir_okay=False)
    ] = None,
    decrypt: Annotated[
        bool, typer.Option("--decrypt", help="Keep vectors and crops unencrypted from now on.")
    ] = False,
    data: Data = None,
) -> None:
    """Encrypt vectors and crops with a new key, or for the first time."""
    from app.commands import encryption as command
    from app.settings import read_settings

    settings = read_settings({"data_dir": data})
    typer.echo(command.rotate(settings, new_key_file, decrypt=decrypt))


@cli.command()
def doctor(data: Data = None, url: Url = None) -> None:
    """Check every part and say how to mend it."""
    from app.commands import doctor as command
    from app.commands.output import print_table

    service = service_of(url, data)
    if service:
        checks = list(command.check_service(service, given_key()))
    else:
        checks = list(command.check_here(data))
    print_table(command.table(checks))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(FAILED)


@cli.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the drawn picture.")] = Path("demo-out"),
) -> None:
    """Show it all on sample photographs, with a service of its own."""
    from app.commands.demo import run

    if not run(out):
        raise typer.Exit(FAILED)


@contextmanager
def _target(url: str | None, data: Path | None) -> Iterator["Target"]:
    service = service_of(url, data)
    target: Target
    if service:
        from app.commands.remote import RemoteTarget

        target = RemoteTarget(service, given_key())
    else:
        from app.commands.local import LocalTarget
        from app.settings import read_settings

        target = LocalTarget(read_settings({"data_dir": data}))
    try:
        yield target
    finally:
        target.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. A fault is one red sentence and exit status 1; no stack is shown."""
    try:
        cli(arguments)
    except FaceError as exc:
        _die(str(exc))
    except KeyboardInterrupt:
        _die("interrupted", status=130)


def _die(sentence: str, status: int = FAILED) -> None:
    typer.secho(sentence, fg=typer.colors.RED, err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
