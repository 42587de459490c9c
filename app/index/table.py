"""Rows of a collection in memory, in the order of their ids, which searches read without a lock.

A reader takes what `rows` gives and keeps it as long as it likes. Writers, one at a time, put new
rows behind those that readers know, and give out a longer view when they are whole; to grow or to
close gaps they make new arrays. Only a row that is overwritten or removed changes in place: whoever
reads it at that moment may see half of it, and has to check what it found against the store.

Ids rise as faces come in, so a row is found by bisection: no map of a Python object per face.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.index.base import Ids

Bytes = npt.NDArray[np.uint8]

GROWTH = 1.25
LEAST_CAPACITY = 1024  # rows
MOST_GAPS = 0.25  # share of removed rows at which the gaps are closed


@dataclass(frozen=True)
class Column:
    width: int  # bytes of a row
    blank: int  # what the bytes of a removed row are set to


@dataclass(frozen=True)
class Rows:
    ids: Ids  # (N,) rising
    there: npt.NDArray[np.bool_]  # (N,) False: removed
    gaps: int  # how many are removed
    columns: Mapping[str, Bytes]  # each (N, width)

    def __len__(self) -> int:
        return len(self.ids)


class Table:
    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self._writing = threading.Lock()
        self._ids, self._there, self._bytes = self._room(0)
        self._rows = self._view(0, 0)

    @property
    def rows(self) -> Rows:
        return self._rows

    @property
    def count(self) -> int:
        rows = self._rows
        return len(rows) - rows.gaps

    def put(self, ids: Ids, values: Mapping[str, Bytes]) -> None:
        """ids (N,) and, for each column, (N, width); of an id that comes twice the last wins."""
        unique, place = np.unique(ids[::-1], return_index=True)
        source = len(ids) - 1 - place
        with self._writing:
            at, known = self._places(unique)
            for name, column in self._rows.columns.items():
                column[at[known]] = values[name][source[known]]
            back = int(known.sum()) - int(self._there[at[known]].sum())
            self._there[at[known]] = True
            self._rows = self._view(len(self._rows), self._rows.gaps - back)
            new = ~known
            if new.any():
                self._append(unique[new], {n: v[source[new]] for n, v in values.items()})

    def remove(self, ids: Ids) -> None:
        with self._writing:
            at, known = self._places(np.unique(ids))
            at = at[known]
            at = at[self._there[at]]
            self._there[at] = False
            for name, column in self._rows.columns.items():
                column[at] = self._columns[name].blank  # forgotten, not only out of reach
            self._rows = self._view(len(self._rows), self._rows.gaps + len(at))
            if self._rows.gaps > max(LEAST_CAPACITY, MOST_GAPS * len(self._rows)):
                self._take_over(self._rows, np.flatnonzero(self._rows.there))

    def take(self, rows: Rows) -> None:
        """In place of what there is. Raises ValueError where the rows do not fit this table."""
        shapes = {name: (len(rows), column.width) for name, column in self._columns.items()}
        if (
            {name: column.shape for name, column in rows.columns.items()} != shapes
            or any(column.dtype != np.uint8 for column in rows.columns.values())
            or rows.ids.dtype != np.int64
            or rows.there.dtype != np.bool_
            or rows.ids.ndim != 1
            or rows.there.shape != rows.ids.shape
            or bool((rows.ids[1:] <= rows.ids[:-1]).any())
        ):
            raise ValueError("these rows are of another table")
        with self._writing:
            self._ids, self._there, self._bytes = rows.ids, rows.there, dict(rows.columns)
            self._rows = self._view(len(rows), len(rows) - int(rows.there.sum()))

    def _places(self, ids: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """ids (N,) -> where each is or would stand, and whether it is there or was."""
        held = self._rows.ids
        at = np.searchsorted(held, ids)
        known = np.zeros(len(ids), np.bool_)
        inside = at < len(held)
        known[inside] = held[at[inside]] == ids[inside]
        return at, known

    def _append(self, ids: Ids, values: Mapping[str, Bytes]) -> None:
        rows, last = self._rows, len(self._rows)
        if last and ids[0] < rows.ids[-1]:
            self._insert(ids, values)
            return
        if last + len(ids) > len(self._ids):
            room = max(last + len(ids), int(GROWTH * last))
            self._take_over(rows, np.arange(last), room)
        end = last + len(ids)
        self._ids[last:end], self._there[last:end] = ids, True
        for name, column in self._bytes.items():
            column[last:end] = values[name]
        self._rows = self._view(end, rows.gaps)

    def _insert(self, ids: Ids, values: Mapping[str, Bytes]) -> None:
        """Between others; rare, as new faces have higher ids than all before them."""
        rows = self._rows
        every = np.concatenate([rows.ids, ids])
        order = np.argsort(every)
        there = np.concatenate([rows.there, np.ones(len(ids), np.bool_)])
        columns = {n: np.concatenate([rows.columns[n], values[n]]) for n in rows.columns}
        self._take_over(Rows(every, there, rows.gaps, columns), order)

    def _take_over(self, rows: Rows, chosen: npt.NDArray[np.intp], room: int = 0) -> None:
        """Into new arrays: readers keep the ones that they have."""
        count = len(chosen)
        self._ids, self._there, self._bytes = self._room(max(room, count))
        self._ids[:count], self._there[:count] = rows.ids[chosen], rows.there[chosen]
        for name, column in self._bytes.items():
            np.take(rows.columns[name], chosen, axis=0, out=column[:count], mode="clip")
        self._rows = self._view(count, count - int(self._there[:count].sum()))

    def _room(self, rows: int) -> tuple[Ids, npt.NDArray[np.bool_], dict[str, Bytes]]:
        rows = max(rows, LEAST_CAPACITY)  # memory that is never written to costs nothing
        columns = {n: np.empty((rows, c.width), np.uint8) for n, c in self._columns.items()}
        return np.empty(rows, np.int64), np.empty(rows, np.bool_), columns

    def _view(self, count: int, gaps: int) -> Rows:
        columns = {name: column[:count] for name, column in self._bytes.items()}
        return Rows(self._ids[:count], self._there[:count], gaps, columns)
