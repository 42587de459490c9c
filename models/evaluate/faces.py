"""Where the faces of an evaluation come from: a pack of crops, a folder of photographs, LFW."""

import csv
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import photos
from models.data import read_packs

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
GROUPINGS = ("group", "sex", "age", "source")

# What the numbers of a pack mean: ../shared/data/README.md. 0 of `source` is Pins.
_NAMES = {
    "group": ("White", "Black", "Asian", "Indian", "other"),
    "sex": ("male", "female"),
    "source": (
        *("Pins", "UTKFace", "All-Age-Faces", "CelebA", "celebrity set"),
        *("Bollywood", "small sets", "MTFL"),
    ),
}
_AGES = (0, 13, 20, 35, 50, 65)  # years at which a band begins


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops with what is known of them. `groups` gives per grouping a label (N,), "" if unknown."""

    crops: npt.NDArray[np.uint8]  # (N, 112, 112, 3) RGB
    people: npt.NDArray[np.int32]  # (N,)
    groups: dict[str, npt.NDArray[np.str_]]
    not_found: int  # photographs in which no face was found; they have no crop here


def read(source: Path, photographs: Callable[[Sequence[bytes]], photos.Crops]) -> Faces:
    """A pack (.npz), LFW's archive (.zip), or a folder with a folder of photographs per person.

    A folder may hold `people.csv` with the columns person, sex, age, group; all but the first are
    free text and may be absent. Raises ValueError when the folder holds no photographs.
    """
    if source.suffix == ".npz":
        pack = read_packs([source])
        return Faces(pack.crops, pack.label, pack_groups([source]), 0)
    if source.suffix == ".zip":
        return read_lfw(source, photographs).faces
    files = sorted(f for f in source.glob("*/*") if f.suffix.lower() in PICTURES)
    if not files:
        raise ValueError(f"{source} has no folders with photographs")
    crops = photographs([file.read_bytes() for file in files])
    names = sorted({file.parent.name for file in files})
    people = np.array([names.index(file.parent.name) for file in files], np.int32)
    groups = {key: by[people][crops.found] for key, by in _people_csv(source, names).items()}
    lost = int((~crops.found).sum())
    return Faces(crops.crops[crops.found], people[crops.found], groups, lost)


def pack_groups(paths: Sequence[Path]) -> dict[str, npt.NDArray[np.str_]]:
    """Per grouping the labels of the packs' crops; a grouping without any label is left out."""
    columns: dict[str, list[npt.NDArray[np.str_]]] = {key: [] for key in GROUPINGS}
    for path in paths:
        with np.load(path) as arrays:
            for key in GROUPINGS:
                values = arrays[key] if key in arrays else np.full(len(arrays["label"]), -1)
                columns[key].append(_ages(values) if key == "age" else _named(values, _NAMES[key]))
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    return {key: labels for key, labels in joined.items() if (labels != "").any()}


def _named(values: npt.NDArray[np.int8], names: Sequence[str]) -> npt.NDArray[np.str_]:
    return np.array([*names, ""])[values]  # -1, unknown, is the last


def _ages(years: npt.NDArray[np.int16]) -> npt.NDArray[np.str_]:
    ends = [f"-{end - 1}" for end in _AGES[1:]] + ["+"]
    bands = np.array(["", *(f"{start}{end}" for start, end in zip(_AGES, ends, strict=True))])
    return np.asarray(bands[np.searchsorted(_AGES, years, "right")])


def _people_csv(folder: Path, names: Sequence[str]) -> dict[str, npt.NDArray[np.str_]]:
    """Per grouping of people.csv the label of each name."""
    table = folder / "people.csv"
    if not table.exists():
        return {}
    with table.open(newline="") as file:
        rows = {row["person"]: row for row in csv.DictReader(file)}
    columns = {key for row in rows.values() for key in row} & set(GROUPINGS)
    return {key: np.array([rows.get(name, {}).get(key) or "" for name in names]) for key in columns}


@dataclass(frozen=True, eq=False)
class Pairs:
    """LFW's pairs. left, right (P,): rows of `names` and of the crops."""

    names: list[str]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]
    folds: int
    crops: photos.Crops

    @property
    def people(self) -> npt.NDArray[np.int32]:
        """(N,): a number for the person of each photograph."""
        folders = [name.split("/")[1] for name in self.names]
        return np.unique(folders, return_inverse=True)[1].astype(np.int32)

    @property
    def faces(self) -> Faces:
        """The photographs in which a face was found, without their pairs."""
        found = self.crops.found
        return Faces(self.crops.crops[found], self.people[found], {}, int((~found).sum()))


def read_lfw(archive: Path, photographs: Callable[[Sequence[bytes]], photos.Crops]) -> Pairs:
    """The archive of ../shared/data/README.md: photographs and pairs.txt."""
    with zipfile.ZipFile(archive) as files:
        text = files.read("pairs.txt").decode()
        pairs, same = parse_pairs(text)
        names = sorted({name for pair in pairs for name in pair})
        crops = photographs([files.read(name) for name in names])
    row = {name: i for i, name in enumerate(names)}
    left, right = (np.array([row[pair[side]] for pair in pairs]) for side in (0, 1))
    return Pairs(names, left, right, same, int(text.split()[0]), crops)


def parse_pairs(text: str) -> tuple[list[tuple[str, str]], npt.NDArray[np.bool_]]:
    """LFW's pairs.txt -> file names of each pair, and whether they are one person.

    Raises ValueError for a line that is neither `name i j` nor `name i name j`.
    """
    pairs, same = [], []
    for number, line in enumerate(text.splitlines()[1:], 2):
        match line.split():
            case [name, i, j]:
                one, other, alike = (name, i), (name, j), True
            case [name, i, stranger, j]:
                one, other, alike = (name, i), (stranger, j), False
            case _:
                raise ValueError(f"pairs.txt line {number}: {line!r} is not a pair")
        pairs.append((_lfw_file(*one), _lfw_file(*other)))
        same.append(alike)
    return pairs, np.array(same)


def _lfw_file(name: str, number: str) -> str:
    return f"lfw/{name}/{name}_{int(number):04d}.jpg"
