"""From the nearest faces to ranked people: the best face of each; and the decision."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.batching import MicroBatcher
from app.entities import Floats, Identification, Match
from app.index.base import Ids, Index
from app.store import person_rows
from app.store.person_rows import Owner
from app.store.store import Store

FACES_PER_PERSON = 4  # the first guess of how many faces a person has
WIDER = 4  # each further search asks for so many times more
MOST_FACES = 16_384  # that are searched for people; those with no face among them are not ranked
AT_ONCE = 16  # calls that share a search
QUEUE = 1024  # calls that may wait; beyond that the answer is `busy`

_Call = tuple[str, int, Floats]  # collection, people, probes (Q, D)


class Ranking:
    """Thread-safe. While one search runs, the calls that arrive become the next one together."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index
        self._batcher: MicroBatcher[_Call, list[list[Match]]] = MicroBatcher(
            self._rank_all, max_batch=AT_ONCE, max_queue=QUEUE, name="ranking"
        )

    def rank(self, collection: str, probes: Floats, people: int) -> list[list[Match]]:
        """As `rank_people`. Raises Busy when too many wait."""
        return self._batcher.submit((collection, people, probes)).result()

    def close(self) -> None:
        """May be called twice."""
        self._batcher.close()

    def _rank_all(self, calls: list[_Call]) -> list[list[list[Match]]]:
        alike: dict[tuple[str, int], list[int]] = defaultdict(list)
        for place, (collection, people, _) in enumerate(calls):
            alike[collection, people].append(place)
        answers: list[list[list[Match]]] = [[] for _ in calls]
        for (collection, people), places in alike.items():
            probes = np.concatenate([calls[place][2] for place in places])
            ranked = iter(rank_people(self._index, collection, probes, people, self._owners_of))
            for place in places:
                answers[place] = [next(ranked) for _ in calls[place][2]]
        return answers

    def _owners_of(self, face_ids: Sequence[int]) -> Mapping[int, Owner]:
        with self._store.read() as connection:
            return person_rows.owners(connection, face_ids)


def rank_people(
    index: Index,
    collection: str,
    probes: Floats,
    people: int,
    owners_of: Callable[[Sequence[int]], Mapping[int, Owner]],
) -> list[list[Match]]:
    """probes (Q, D) -> per probe its best `people` people, best first.

    People with many faces can fill a list of the nearest faces; then that probe alone is searched
    again, wider, until enough people are found or MOST_FACES were looked at.
    """
    rankings: list[list[Match]] = [[] for _ in probes]
    owners: dict[int, Owner] = {}
    unfinished = list(range(len(probes)))
    width = people * FACES_PER_PERSON
    while unfinished:
        scores, ids = index.search(collection, probes[unfinished], width)
        new = set(ids.ravel().tolist()) - owners.keys() - {-1}
        owners.update(owners_of(sorted(new)))
        for row, probe in enumerate(unfinished):
            rankings[probe] = _best_of_each(scores[row], ids[row], owners, people)
        unfinished = [
            probe
            for row, probe in enumerate(unfinished)
            # A row without padding may go on.
            if len(rankings[probe]) < people and ids[row, -1] != -1 and width < MOST_FACES
        ]
        width = min(width * WIDER, MOST_FACES, max(width, index.count(collection)) + 1)
    return rankings


def decide(ranking: Sequence[Match], top_k: int, threshold: float) -> Identification:
    known = bool(ranking) and ranking[0].score >= threshold
    return Identification(
        decision="match" if known else "unknown",
        threshold=threshold,
        matches=tuple(ranking[:top_k]),
        margin=ranking[0].score - ranking[1].score if len(ranking) > 1 else None,
    )


def _best_of_each(
    scores: Floats, ids: Ids, owners: Mapping[int, Owner], people: int
) -> list[Match]:
    best: dict[str, Match] = {}
    for score, face in zip(scores.tolist(), ids.tolist(), strict=True):
        # No owner: padding, or a face that was deleted since the search.
        owner = owners.get(face)
        if owner is None or owner.person in best:
            continue
        best[owner.person] = Match(owner.person, owner.name, face, score)
        if len(best) == people:
            break
    return list(best.values())
