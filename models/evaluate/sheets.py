"""Sheets of the worst pairs, to be looked at and described in words, never to be published.

The photographs are of real people, so the folder gets a .gitignore that leaves out everything.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.evaluate.faces import Pairs
from models.evaluate.lfw import Result

COUNT = 24  # pairs on a sheet
COLUMNS = 4
CAPTION = 22  # pixels


def write_worst(pairs: Pairs, result: Result, folder: Path) -> list[Path]:
    """Two pictures: pairs of one person with the least scores, of two with the greatest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    order = np.argsort(result.scores, kind="stable")
    missed = [i for i in order if pairs.same[i]][:COUNT]
    confused = [i for i in order[::-1] if not pairs.same[i]][:COUNT]
    written = []
    for name, worst in (("missed", missed), ("confused", confused)):
        tiles = [_tile(pairs, int(i), float(result.scores[i])) for i in worst]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
        rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
        written.append(folder / f"{name}.png")
        cv2.imwrite(str(written[-1]), np.vstack(rows)[:, :, ::-1])
    return written


def _tile(pairs: Pairs, pair: int, score: float) -> npt.NDArray[np.uint8]:
    crops = pairs.crops.crops
    both = np.hstack([crops[pairs.left[pair]], crops[pairs.right[pair]]])
    tile = np.full((len(both) + CAPTION, both.shape[1] + 8, 3), 255, np.uint8)
    tile[CAPTION:, :-8] = both
    cv2.putText(tile, f"{score:.3f}", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    return tile
