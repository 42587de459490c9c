"""A compact index on disk: one NumPy archive (.npz), with the checksum that ZIP gives each array.

It holds what memory holds: codes and signs, which tell as much of a face as its vector does. So the
file is for its owner's eyes alone, and whoever removes a face has the file deleted first.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.index.table import Rows

LAYOUT = 1  # another number is another layout, which is not read
FILE, NEXT = "index.npz", "index.npz.next"

Saved = Mapping[str, tuple[int, Rows]]  # collection -> D, rows


def write(folder: Path, mark: str, held: Saved) -> None:
    """As the next file; `keep` puts it in place of the one that is there."""
    arrays = {"layout": np.array(LAYOUT), "mark": np.array(mark), "names": np.array([*held])}
    for number, (dim, rows) in enumerate(held.values()):
        arrays |= {f"{number}/dim": np.array(dim), f"{number}/ids": rows.ids}
        arrays |= {f"{number}/there": rows.there}
        arrays |= {f"{number}/column/{name}": column for name, column in rows.columns.items()}
    file = folder / NEXT
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)
        opened.flush()
        os.fsync(opened.fileno())


def keep(folder: Path) -> None:
    (folder / NEXT).replace(folder / FILE)
    _sync(folder)


def delete(folder: Path) -> None:
    for name in (FILE, NEXT):
        (folder / name).unlink(missing_ok=True)
    _sync(folder)


def read(folder: Path) -> tuple[str, Saved] | None:
    """The mark and the rows; None where there is no file, or it is not a whole one of ours."""
    (folder / NEXT).unlink(missing_ok=True)  # of a process that was killed
    try:
        with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if int(arrays["layout"]) != LAYOUT:
                return None
            held = {
                str(name): (int(arrays[f"{number}/dim"]), _rows(arrays, number))
                for number, name in enumerate(arrays["names"])
            }
            return str(arrays["mark"]), held
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _rows(arrays: Mapping[str, np.ndarray], number: int) -> Rows:
    prefix = f"{number}/column/"
    columns = {n.removeprefix(prefix): arrays[n] for n in arrays if n.startswith(prefix)}
    there = arrays[f"{number}/there"]
    return Rows(arrays[f"{number}/ids"], there, int((~there).sum()), columns)


def _sync(folder: Path) -> None:
    """Names in a folder are on disk when the folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
