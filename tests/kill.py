"""Kills a real service again and again while clients change its gallery, and counts what is lost.

    python -m tests.kill --rounds 100 [--seed 1]

A round: the service starts in the folder that the kill before it left; everything it holds is held
against what it had acknowledged; then clients enrol and delete over HTTP until SIGKILL, at a random
moment. A change whose answer did not arrive may be there as a whole or not at all; sent again under
its Idempotency-Key it is there once. Each change has its line in the audit log. Whoever was deleted
stays deleted, and what a search finds is what the store lists.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx

from tests.ledger import Faces, Known, Request, embedding
from tests.process import environment_in, served

PEOPLE = "/collections/default/people"
CLIENTS = 4
PEOPLE_PER_CLIENT = 5
LIFE = (0.0, 0.7)  # seconds of changes before the kill, from and to
PROBES = 500  # embeddings in one search
SAME = 0.999  # cosine of an embedding with itself, but for rounding
REPORT_EVERY = 10  # rounds
RECENT = 4  # rounds whose deleted faces are searched for in every round; at the end, all


class Trial:
    def __init__(self, folder: Path, seed: int, least: int = 1) -> None:
        """In every round, the time to the kill begins after `least` answers."""
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._folder = folder
        self._chance = random.Random(seed)
        self._answered = threading.Semaphore(0)
        self._least = least
        self._environment = environment_in(folder)
        self._known: dict[str, Known] = {}
        self._gone: list[set[int]] = []  # per round, seeds of deleted faces
        self._changed: Counter[str] = Counter()  # person -> changes that were carried out
        self._logged: Counter[str] = Counter()  # person -> their lines in the audit log
        self._log_read = 0  # number of the last line
        self._seeds = iter(range(1, 10**9))
        self._one_at_a_time = threading.Lock()

    def run(self, rounds: int) -> None:
        for done in range(1, rounds + 1):
            with self._service() as (url, process):
                self._compare(url, self._gone[-RECENT:])
                self._change_until_killed(url, process)
            self.counts["kills"] += 1
            if done % REPORT_EVERY == 0:
                print(f"{done} kills, {len(self.faults)} faults", file=sys.stderr, flush=True)
        with self._service() as (url, _):
            self._compare(url, self._gone)

    def tell(self) -> None:
        """Print what was found wrong, then the counts."""
        for fault in self.faults:
            print(fault)
        for name, count in sorted({"lost": 0, "came back": 0, **self.counts}.items()):
            print(f"{count:8d}  {name}")
        print(f"{len(self.faults):8d}  faults")

    def _service(self) -> AbstractContextManager[tuple[str, subprocess.Popen[str]]]:
        return served(self._environment, self._folder / "log")

    # Changes

    def _change_until_killed(self, url: str, process: subprocess.Popen[str]) -> None:
        self._answered = threading.Semaphore(0)
        seeds = [self._chance.getrandbits(32) for _ in range(CLIENTS)]
        clients = [
            threading.Thread(target=self._client, args=(url, number, random.Random(seed)))
            for number, seed in enumerate(seeds)
        ]
        for client in clients:
            client.start()
        for _ in range(self._least):
            self._answered.acquire(timeout=30)
        time.sleep(self._chance.uniform(*LIFE))
        process.kill()
        for client in clients:
            client.join()

    def _client(self, url: str, number: int, chance: random.Random) -> None:
        """Changes people of its own until the service is gone."""
        names = [f"p{number}-{place}" for place in range(PEOPLE_PER_CLIENT)]
        with httpx.Client(base_url=url, timeout=30) as http:
            while True:
                name = chance.choice(names)
                with self._one_at_a_time:
                    known = self._known.setdefault(name, Known(name))
                    request = self._next(known, chance)
                known.unanswered = request
                try:
                    answer = send(http, request)
                except httpx.HTTPError:
                    return
                self._note(known, request, answer)

    def _next(self, known: Known, chance: random.Random) -> Request:
        path = f"{PEOPLE}/{known.person}"
        if known.faces is None:
            return Request("POST", PEOPLE, {"id": known.person}, frozenset())
        match chance.random():
            case draw if draw < 0.15:
                return Request("DELETE", path, None, None)
            case draw if draw < 0.35 and known.faces:
                face = chance.choice(sorted(known.faces))
                left = known.faces - {face}
                return Request("DELETE", f"{path}/faces/{known.numbers[face]}", None, left)
        new = [next(self._seeds) for _ in range(chance.randint(1, 3))]
        body: dict[str, object] = {"embeddings": [embedding(seed) for seed in new]}
        return Request("POST", f"{path}/faces", body, known.faces | set(new))

    def _note(self, known: Known, request: Request, answer: httpx.Response) -> None:
        with self._one_at_a_time:
            self.counts[f"{request.method} acknowledged"] += 1
            self._answered.release()
            if not answer.is_success:
                self.faults.append(f"{request.method} {request.path}: {answer.text}")
                return
            self._changed[known.person] += 1
        if request.path.endswith("/faces"):
            new = sorted((request.after or frozenset()) - (known.faces or frozenset()))
            accepted = [each["face"]["id"] for each in answer.json()["accepted"]]
            known.numbers.update(zip(new, accepted, strict=True))
        known.acknowledged(request.after)

    # Comparison

    def _compare(self, url: str, gone: list[set[int]]) -> None:
        """What is there with what was acknowledged, and the index with the store."""
        with httpx.Client(base_url=url, timeout=30) as http:
            listed = _listed(http)
            tried = [
                known.unanswered.after or () for known in self._known.values() if known.unanswered
            ]
            alive = [known.faces or () for known in self._known.values()]
            seeds = sorted({seed for some in [*alive, *tried, *gone] for seed in some})
            found = _searched(http, seeds)
            for known in self._known.values():
                numbers = {seed: face for seed, (who, face) in found.items() if who == known.person}
                in_store = listed.pop(known.person, None)
                if set(numbers.values()) != (in_store or set()):
                    self.faults.append(f"{known.person}: the index differs from the store")
                request = known.unanswered
                done = self._settle(
                    known, None if in_store is None else frozenset(numbers), numbers
                )
                if request is not None:
                    self._send_again(http, known, request, done)
            self._compare_log(http)
        self.faults += [f"{person}: nobody enrolled this one" for person in listed]
        self.counts["faces compared"] += len(found)
        self._gone.append({seed for known in self._known.values() for seed in known.gone})
        for known in self._known.values():
            known.gone.clear()

    def read_log_anew(self) -> None:
        self._logged.clear()
        self._log_read = 0

    def _compare_log(self, http: httpx.Client) -> None:
        """Every change that was carried out has its line in the audit log, and no other has."""
        while lines := http.get("/audit", params={"after": self._log_read}).json()["items"]:
            changes = [line for line in lines if line["action"] != "identify"]
            self._logged.update(person for line in changes for person in line["people"])
            self._log_read = lines[-1]["seq"]
        for person in self._changed.keys() | self._logged.keys():
            if self._changed[person] != self._logged[person]:
                self.faults.append(f"{person}: a change without its line in the audit log")
        if not http.get("/audit/verify").json()["ok"]:
            self.faults.append("the audit log is broken")
        self.counts["changes in the audit log"] = self._logged.total()

    def _settle(self, known: Known, found: Faces, numbers: Mapping[int, int]) -> bool:
        """Whether the change that was not answered is there."""
        if not known.allows(found):
            held, there = known.faces or frozenset(), found or frozenset()
            kind = "lost" if held - there or found is None else "came back"
            self.counts[kind] += 1
            self.faults.append(f"{known.person}: {kind}: {known.faces} became {found}")
        done = known.unanswered is not None and found == known.unanswered.after
        self._changed[known.person] += done
        known.settle(found)
        known.numbers = dict(numbers)
        return done

    def _send_again(self, http: httpx.Client, known: Known, request: Request, done: bool) -> None:
        answer = send(http, request)
        if answer.headers.get("idempotency-replayed", "false") != str(done).lower():
            self.faults.append(f"{known.person}: {request.method} done twice, or never")
        self.counts["sent again, were done" if done else "sent again, were not done"] += 1
        if not done:
            self._note(known, request, answer)
        elif not answer.is_success:
            self.faults.append(f"{request.method} {request.path}: {answer.text}")


def send(http: httpx.Client, request: Request) -> httpx.Response:
    headers = {"idempotency-key": request.key}
    return http.request(request.method, request.path, json=request.body, headers=headers)


def _listed(http: httpx.Client) -> dict[str, set[int]]:
    """Person -> ids of the faces that the store lists."""
    page = http.get(PEOPLE, params={"limit": 500}).json()
    assert page["next_cursor"] is None
    people = [person["id"] for person in page["items"]]
    faces = {person: http.get(f"{PEOPLE}/{person}/faces").json()["items"] for person in people}
    return {person: {face["id"] for face in some} for person, some in faces.items()}


def _searched(http: httpx.Client, seeds: list[int]) -> dict[int, tuple[str, int]]:
    """Seed -> the person and the id of the face that a search finds, if it finds that very one."""
    found = {}
    for start in range(0, len(seeds), PROBES):
        some = seeds[start : start + PROBES]
        body = {"embeddings": [embedding(seed) for seed in some], "top_k": 1}
        answer = http.post("/identify", json=body).raise_for_status().json()
        for seed, result in zip(some, answer["results"], strict=True):
            for match in result["faces"][0]["matches"]:
                if match["score"] > SAME:
                    found[seed] = (match["person"], match["face"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), given.seed)
        trial.run(given.rounds)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    trial.tell()
    return 1 if trial.faults else 0


if __name__ == "__main__":
    sys.exit(main())
