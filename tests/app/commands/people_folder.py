"""A folder per person, cut from the sample photographs, for tests of bulk enrolment."""

from pathlib import Path

import cv2

from app.commands import samples
from app.commands.demo import altered, jpeg


def write_people(folder: Path) -> Path:
    """One astronaut in two pictures, one close-up, and two files that nobody can be enrolled of."""
    astronaut, close_up = samples.astronaut(), samples.close_up()
    (folder / "Eileen").mkdir(parents=True)
    (folder / "Tom Hånks").mkdir()
    (folder / "Nobody").mkdir()
    (folder / "Eileen" / "1.jpg").write_bytes(jpeg(astronaut, 95))
    (folder / "Eileen" / "2.jpg").write_bytes(jpeg(altered(astronaut), 95))
    border = cv2.copyMakeBorder(close_up, 56, 56, 56, 56, cv2.BORDER_REPLICATE)
    (folder / "Tom Hånks" / "1.jpg").write_bytes(jpeg(border, 95))
    (folder / "Nobody" / "wall.jpg").write_bytes(jpeg(astronaut[400:, 400:], 95))
    (folder / "Nobody" / "notes.txt").write_text("not a picture")
    (folder / "Nobody" / ".hidden").write_text("left out")
    return folder
