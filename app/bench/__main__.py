"""`python -m app.bench NAME`: what is measured of the service."""

import json
from typing import Annotated

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


if __name__ == "__main__":
    cli()
