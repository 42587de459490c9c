"""Draws boxes and names into a picture. The fonts inside OpenCV 5 cover most scripts."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.commands.target import Found
from app.entities import Image
from app.errors import BadRequest

Colour = tuple[int, int, int]  # RGB

GREEN: Colour = (22, 163, 74)
AMBER: Colour = (217, 119, 6)
WHITE: Colour = (255, 255, 255)
UNKNOWN = "unknown"
MEDIUM_WEIGHT = 500  # of a variable font, 100..1000

# Shares of the picture's longer side, so that a label reads the same at any resolution.
LINE_SHARE = 1 / 400
TEXT_SHARE = 1 / 50
MIN_TEXT = 12  # pixels


def draw(image: Image, found: Sequence[Found]) -> Image:
    """A copy of the (H, W, 3) RGB picture with a box and a label for every face."""
    canvas = np.ascontiguousarray(image).copy()
    side = max(canvas.shape[:2])
    line = max(1, round(side * LINE_SHARE))
    size = max(MIN_TEXT, round(side * TEXT_SHARE))
    for face in found:
        colour = GREEN if face.answer.decision == "match" else AMBER
        x1, y1, x2, y2 = (round(edge) for edge in face.box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)
        _label(canvas, label(face), (x1, y1), size, colour)
    return canvas


def label(face: Found) -> str:
    if face.answer.decision == "unknown":
        return UNKNOWN
    best = face.answer.matches[0]
    return f"{best.name} {best.score:.2f}"


def _label(canvas: Image, text: str, corner: tuple[int, int], size: int, colour: Colour) -> None:
    """A filled strip above the box's upper left corner, or below it at the picture's edge."""
    font = cv2.FontFace("sans")
    height, width = canvas.shape[:2]
    pad = size // 4
    _, _, text_width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, size, MEDIUM_WEIGHT)
    strip_width, strip_height = text_width + 2 * pad, size + 2 * pad
    x = max(0, min(corner[0], width - strip_width))
    y = corner[1] - strip_height if corner[1] >= strip_height else corner[1]
    y = min(y, height - strip_height)
    cv2.rectangle(canvas, (x, y), (x + strip_width, y + strip_height), colour, cv2.FILLED)
    cv2.putText(
        canvas, text, (x + pad, y + pad + round(size * 0.8)), WHITE, font, size, MEDIUM_WEIGHT
    )


def output_paths(out: Path, pictures: Sequence[Path]) -> list[Path]:
    """Where each picture's drawing goes: `out` itself for one, out-1.png, out-2.png for several,
    and under their own names into `out` where that is a folder."""
    if out.is_dir():
        return [out / f"{number}-{path.stem}.png" for number, path in enumerate(pictures, 1)]
    if len(pictures) == 1:
        return [out]
    return [out.with_stem(f"{out.stem}-{number}") for number in range(1, len(pictures) + 1)]


def save(image: Image, path: Path) -> None:
    """Writes an RGB picture in the format that the file's ending names."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ok, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if ok:
            path.write_bytes(data.tobytes())
    except cv2.error as exc:
        raise BadRequest(f"{path} must end in .png, .jpg or .webp") from exc
    except OSError as exc:
        raise BadRequest(f"{path} cannot be written: {exc.strerror}") from exc
