"""`python -m app.bench NAME`: what is measured of the service."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

cli = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@cli.callback()
def _benches() -> None:
    """What is measured of the service."""


@cli.command()
def start(
    rounds: Annotated[int, typer.Option(min=1, help="Starts, of which the median counts.")] = 5,
    as_json: Json = False,
) -> None:
    """Time to ready and memory, with an empty gallery."""
    from app.bench.start import measure

    figures = {name: round(value, 2) for name, value in measure(rounds).items()}
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        for name, value in figures.items():
            typer.echo(f"{name:20} {value}")


@cli.command()
def overload(
    seconds: Annotated[float, typer.Option(help="How long the overload lasts.")] = 60,
    times: Annotated[float, typer.Option(help="Times the capacity.")] = 10,
    slow: Annotated[int, typer.Option(help="Slow senders beside it.")] = 100,
    calm: Annotated[float, typer.Option(help="How long the capacity is measured.")] = 20,
) -> None:
    """Many times the capacity: who is served, how fast, and what becomes of the service. JSON."""
    from app.bench.overload import measure

    typer.echo(json.dumps(asdict(measure(seconds, times, slow, calm)), indent=2))


@cli.command()
def service(
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each of some 25 runs.")] = 3,
    photographs: Annotated[
        Path | None, typer.Option(help="A zip of more, e.g. ../shared/data/lfw-pairs.zip.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Faces a second and times of requests, beside the pipeline without HTTP."""
    from app.bench.service import measure

    _tell(asdict(measure(seconds, photographs)), as_json)


@cli.command()
def soak(
    requests: Annotated[int, typer.Option(min=100, help="In all.")] = 50_000,
    as_json: Json = False,
) -> None:
    """Very many requests of all kinds: does the memory stay?"""
    from app.bench.soak import measure

    _tell(asdict(measure(requests)), as_json)


@cli.command()
def batches(
    rounds: Annotated[int, typer.Option(min=1, help="Of each size, of which medians count.")] = 21,
    as_json: Json = False,
) -> None:
    """Time and memory of the embedder's batches, dealt out to threads and whole."""
    from app.bench.batches import measure

    _tell_rows(asdict(measure(rounds)), "batches", as_json)


@cli.command()
def detection(
    rounds: Annotated[int, typer.Option(min=1, help="Of each size, of which medians count.")] = 9,
    pictures: Annotated[int, typer.Option(min=1, help="Of one round.")] = 16,
    as_json: Json = False,
) -> None:
    """Time and memory of the detector's network, asked by one and by many at once."""
    from app.bench.detection import measure

    _tell_rows(asdict(measure(rounds, pictures)), "crowds", as_json)


@cli.command()
def gallery(
    faces: Annotated[int, typer.Option(min=1000, help="How many, four of each person.")] = 100_000,
    dim: Annotated[int, typer.Option(help="Numbers of an embedding.")] = 512,
    kind: Annotated[
        Literal["auto", "exact", "int8", "signs"], typer.Option(help="As FACE_INDEX.")
    ] = "auto",
    recall: Annotated[float, typer.Option(help="As FACE_RECALL.")] = 0.999,
    folder: Annotated[
        Path | None, typer.Option(help="Kept filled there, to be measured again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Speed, recall and memory of the gallery beside raw FAISS and NumPy."""
    from app.bench.gallery import run

    told = run(faces, dim, kind, recall, folder)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for part, figures in told.items():
        rows = figures.items() if isinstance(figures, dict) else [("", figures)]
        for name, value in rows:
            typer.echo(f"{part:18} {name:45} {value}")


def _tell_rows(told: dict[str, Any], rows: str, as_json: bool) -> None:
    """What stands under `rows` as lines, the other numbers as the last one."""
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for row in told.pop(rows):
        typer.echo("  ".join(f"{name} {value:<8.4g}" for name, value in row.items()))
    typer.echo("  ".join(f"{name} {value:.0f}" for name, value in told.items()))


def _tell(told: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for name, value in told.items():
        typer.echo(f"{name:20} {value}")


if __name__ == "__main__":
    cli()
