"""`face identify`: who is in these pictures, as a table, as JSON, or drawn into them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from app.commands.drawing import draw, output_paths, save
from app.commands.target import MAX_FILE_BYTES, Found, Refused, Target, read_picture
from app.entities import Image
from app.pipeline.decode import ImageLimits, decode_image

# What the service took may be drawn: its limits may be set wider than the defaults.
DRAWN_LIMITS = ImageLimits(max_bytes=MAX_FILE_BYTES, max_pixels=200_000_000)


@dataclass(frozen=True, eq=False)
class Answer:
    """Of one file: its faces, from left to right, or why there are none to ask about."""

    path: Path
    found: tuple[Found, ...] = ()
    refusal: Refused | None = None


def identify(
    target: Target,
    paths: Sequence[Path],
    *,
    collection: str,
    top_k: int,
    threshold: float | None,
) -> Iterator[Answer]:
    for path in paths:
        try:
            found = target.identify(
                read_picture(path), collection=collection, top_k=top_k, threshold=threshold
            )
            yield Answer(path, tuple(sorted(found, key=lambda face: face.box[0])))
        except Refused as refusal:
            yield Answer(path, refusal=refusal)


def table(answers: Sequence[Answer]) -> Table:
    """A row per face, and a dim one for each further candidate."""
    grid = Table(title_justify="left", header_style="bold", pad_edge=False)
    for column in ("picture", "face", "decision", "person", "name"):
        grid.add_column(column, overflow="fold")
    for column in ("score", "threshold", "margin"):
        grid.add_column(column, justify="right", no_wrap=True)
    for answer in answers:
        if answer.refusal or not answer.found:
            said = answer.refusal.detail if answer.refusal else "no face was found"
            grid.add_row(answer.path.name, "-", Text(said, "red"))
        for number, face in enumerate(answer.found, 1):
            _add_face(grid, answer.path.name, number, face)
    return grid


def _add_face(grid: Table, picture: str, number: int, face: Found) -> None:
    answer = face.answer
    margin = "" if answer.margin is None else f"{answer.margin:.3f}"
    known = answer.decision == "match"
    decision = Text(answer.decision, "bold green" if known else "yellow")
    row = (picture, str(number), decision)
    if not answer.matches:
        grid.add_row(*row, "-", "-", "-", f"{answer.threshold:.3f}", margin)
    for rank, match in enumerate(answer.matches):
        first = rank == 0
        grid.add_row(
            *(row if first else ("", "", "")),
            Text(match.person),  # Text: a name is never read as markup
            Text(match.name),
            f"{match.score:.3f}",
            f"{answer.threshold:.3f}" if first else "",
            margin if first else "",
            style=None if first and known else "dim",
        )


def as_json(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    return [
        {
            "file": str(answer.path),
            "faces": [_face_json(face) for face in answer.found],
            "error": answer.refusal
            and {"code": answer.refusal.code, "detail": answer.refusal.detail},
        }
        for answer in answers
    ]


def _face_json(face: Found) -> dict[str, Any]:
    answer = face.answer
    return {
        "box": list(face.box),
        "score": face.score,
        "decision": answer.decision,
        "threshold": answer.threshold,
        "margin": answer.margin,
        "matches": [
            {"person": m.person, "name": m.name, "face": m.face, "score": m.score}
            for m in answer.matches
        ],
    }


def draw_answers(answers: Sequence[Answer], out: Path) -> list[Path]:
    """Writes the drawn pictures, those that could be read; returns where they are."""
    written = []
    paths = output_paths(out, [answer.path for answer in answers])
    for answer, path in zip(answers, paths, strict=True):
        if answer.refusal is None:
            image: Image = decode_image(read_picture(answer.path).data, DRAWN_LIMITS)
            save(draw(image, answer.found), path)
            written.append(path)
    return written
