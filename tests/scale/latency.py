"""What sharing costs: the same requests to a service alone and to replicas, in turns.

    python -m tests.scale.latency [--people 500] [--searches 300]

Alone is SQLite and FAISS in the service's folder; shared is PostgreSQL and Milvus Lite on this
machine, asked through nginx. The embedder is a stand-in and is not asked: embeddings are sent, so
the figures are those of store, audit log, index and HTTP. PostgreSQL writes through to the disk.
On a machine that has other work to do, p10 is nearest to the undisturbed figure.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np

from tests.kill import PEOPLE
from tests.ledger import embedding
from tests.process import environment_in, served
from tests.scale.milvus import milvus
from tests.scale.nginx import nginx
from tests.scale.postgresql import cluster
from tests.scale.trial import replicas

FACES = 4  # of each person
CLIENTS = 8
SAFE = ("max_connections=200",)  # settings of PostgreSQL; all others are its own


def enrol(http: httpx.Client, number: int) -> None:
    seeds = range(number * FACES, (number + 1) * FACES)
    http.post(PEOPLE, json={"id": f"p{number}"}).raise_for_status()
    body = {"embeddings": [embedding(seed) for seed in seeds]}
    http.post(f"{PEOPLE}/p{number}/faces", json=body).raise_for_status()


def search(http: httpx.Client, seed: int) -> None:
    answer = http.post("/identify", json={"embeddings": [embedding(seed)]}).raise_for_status()
    (face,) = answer.json()["results"][0]["faces"]
    assert face["matches"][0]["person"] == f"p{seed // FACES}"


def timed(work: Callable[[httpx.Client, int], None], http: httpx.Client, number: int) -> float:
    began = time.perf_counter()
    work(http, number)
    return time.perf_counter() - began


def searches_a_second(url: str, count: int, faces: int) -> float:
    def ask(first: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as http:
            for seed in range(first, count, CLIENTS):
                search(http, seed * 7919 % faces)

    clients = [threading.Thread(target=ask, args=(first,)) for first in range(CLIENTS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return count / (time.perf_counter() - began)


def row(name: str, seconds: list[float]) -> str:
    p10, p50, p99 = np.percentile(np.array(seconds) * 1000, (10, 50, 99))
    return f"{name:24s} p10 {p10:7.1f} ms   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms"


def measure(urls: dict[str, str], people: int, searches: int) -> None:
    with ExitStack() as opened:
        clients = {
            name: opened.enter_context(httpx.Client(base_url=url, timeout=60))
            for name, url in urls.items()
        }
        for title, work, count, most in (
            (f"enrol a person with {FACES} faces", enrol, people, people),
            ("identify one embedding", search, searches, people * FACES),
        ):
            taken: dict[str, list[float]] = {name: [] for name in urls}
            for number in range(count):
                for name, http in clients.items():
                    taken[name].append(timed(work, http, number % most))
            print(title)
            for name, seconds in taken.items():
                print("  " + row(name, seconds), flush=True)
    print(f"searches a second, {CLIENTS} clients")
    for name, url in urls.items():
        print(f"  {name:24s} {searches_a_second(url, searches, people * FACES):7.0f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--searches", type=int, default=300)
    given = parser.parse_args()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        alone = {**environment_in(folder), "FACE_AUTH": "off"}
        url, _ = opened.enter_context(served(alone, folder / "alone.log"))
        database = opened.enter_context(cluster(SAFE))
        index = opened.enter_context(milvus(folder))
        pair = opened.enter_context(replicas(folder, database, index))
        balancer = opened.enter_context(nginx(folder, [each.port for each in pair]))
        measure({"alone": url, "shared, two replicas": balancer}, given.people, given.searches)
    return 0


if __name__ == "__main__":
    sys.exit(main())
