"""Kills replicas behind nginx while clients change their gallery, and counts what is lost.

    python -m tests.scale.trial --rounds 10 [--seed 1]

PostgreSQL, Milvus Lite on a port, two services and nginx in front of both, each a real process. A
round: clients enrol, delete and search through nginx; at a random moment one replica is killed, and
they go on with the other; what was not answered is sent again under its Idempotency-Key until it
is. Then the killed one starts again, and both replicas have to say just what was acknowledged.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.kill import CLIENTS, PEOPLE, PEOPLE_PER_CLIENT, Trial, send
from tests.ledger import Known, Request, embedding
from tests.process import environment_in, served
from tests.scale.milvus import Milvus, free_port, milvus
from tests.scale.nginx import nginx
from tests.scale.postgresql import Cluster, cluster

LEAST = 10  # answers before the kill, and again after it
LIFE = (0.0, 0.5)  # seconds more
AWAY = (502, 503, 504)  # nginx's answers while a replica dies; `unavailable`
HANDOVERS = 10


class Replica:
    """A service on a port of its own, which may be killed and started again."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**environment, "FACE_PORT": str(self.port)}
        self._log = log
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        _, self._process = self._running.enter_context(served(self._environment, self._log))

    def kill(self) -> None:
        self._process.kill()
        self._running.close()


class ReplicaTrial(Trial):
    def __init__(self, folder: Path, seed: int, replicas: list[Replica], balancer: str) -> None:
        super().__init__(folder, seed)
        self._replicas = replicas
        self._balancer = balancer
        self._stop = threading.Event()

    def run(self, rounds: int) -> None:
        self._hand_over()
        for done in range(1, rounds + 1):
            killed = self._chance.choice(self._replicas)
            self._change_while_one_dies(killed)
            killed.start()
            self.counts["kills"] += 1
            for replica in self._replicas:
                self._compare(replica.url, self._gone)
            print(f"{done} kills, {len(self.faults)} faults", file=sys.stderr, flush=True)

    def _hand_over(self) -> None:
        """Whom one replica enrolled the next request to the other finds; likewise who is gone."""
        with ExitStack() as opened:
            clients = [
                opened.enter_context(httpx.Client(base_url=each.url, timeout=30))
                for each in self._replicas
            ]
            for turn in range(HANDOVERS):
                enrolling, asking = clients if turn % 2 else clients[::-1]
                probe = embedding(next(self._seeds))
                enrolling.post(PEOPLE, json={"id": "handed"}).raise_for_status()
                faces = enrolling.post(f"{PEOPLE}/handed/faces", json={"embeddings": [probe]})
                faces.raise_for_status()
                if _named(asking, probe) != "handed":
                    self.faults.append("enrolled through one replica, unknown to the other")
                enrolling.delete(f"{PEOPLE}/handed").raise_for_status()
                if _named(asking, probe) is not None:
                    self.faults.append("deleted through one replica, found by the other")
                self.counts["handed over"] += 1
                self._changed["handed"] += 3  # made, given a face, deleted

    def _change_while_one_dies(self, replica: Replica) -> None:
        self._stop.clear()
        self._answered = threading.Semaphore(0)
        clients = [
            threading.Thread(
                target=self._client,
                args=(self._balancer, number, random.Random(self._chance.getrandbits(32))),
            )
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        self._let_change()
        replica.kill()
        self._let_change()
        self._stop.set()
        for client in clients:
            client.join()

    def _let_change(self) -> None:
        for _ in range(LEAST):
            self._answered.acquire(timeout=60)
        time.sleep(self._chance.uniform(*LIFE))

    def _client(self, url: str, number: int, chance: random.Random) -> None:
        names = [f"p{number}-{place}" for place in range(PEOPLE_PER_CLIENT)]
        with httpx.Client(base_url=url, timeout=30) as http:
            while not self._stop.is_set():
                name = chance.choice(names)
                with self._one_at_a_time:
                    known = self._known.setdefault(name, Known(name))
                    request = self._next(known, chance)
                self._note(known, request, self._send_until_answered(http, request))
                if known.faces:
                    self._search(http, known, chance.choice(sorted(known.faces)))

    def _send_until_answered(self, http: httpx.Client, request: Request) -> httpx.Response:
        while True:
            try:
                answer = send(http, request)
                if answer.status_code not in AWAY:
                    return answer
            except httpx.HTTPError:
                pass
            with self._one_at_a_time:
                self.counts["sent again"] += 1
            time.sleep(0.05)

    def _search(self, http: httpx.Client, known: Known, seed: int) -> None:
        """Searches may fail while a replica dies; a wrong answer they may not give."""
        try:
            found = _named(http, embedding(seed))
        except httpx.HTTPError:
            return
        with self._one_at_a_time:
            self.counts["searches"] += 1
            if found != known.person:
                self.faults.append(f"{known.person} was enrolled, and {found} found")


@contextmanager
def replicas(
    folder: Path, database: Cluster, index: Milvus, count: int = 2
) -> Iterator[list[Replica]]:
    environment = {
        **environment_in(folder),
        "FACE_DATABASE_URL": database.new_database(),
        "FACE_INDEX": "milvus",
        "FACE_MILVUS_URI": index.new_database(),
        "FACE_AUTH": "off",
    }
    with ExitStack() as opened:
        made = []
        for number in range(count):
            made.append(Replica(environment, folder / f"replica{number}.log"))
            opened.callback(made[-1].kill)
        yield made


def _named(http: httpx.Client, probe: list[float]) -> str | None:
    """Who is recognised."""
    body = {"embeddings": [probe], "top_k": 1, "threshold": 0.99}
    answer = http.post("/identify", json=body).raise_for_status().json()
    (face,) = answer["results"][0]["faces"]
    return face["matches"][0]["person"] if face["decision"] == "match" else None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        database = opened.enter_context(cluster())
        index = opened.enter_context(milvus(folder))
        pair = opened.enter_context(replicas(folder, database, index))
        balancer = opened.enter_context(nginx(folder, [each.port for each in pair]))
        trial = ReplicaTrial(folder, given.seed, pair, balancer)
        trial.run(given.rounds)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    trial.tell()
    return 1 if trial.faults else 0


if __name__ == "__main__":
    sys.exit(main())
