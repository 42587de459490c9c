"""An answer that says stored or deleted is true for the very next request, whoever else is busy."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

CALLERS = 6
ROUNDS = 6
SAME = 0.999


def test_the_next_request_sees_what_was_acknowledged(url, collection):
    people = f"/collections/{collection}/people"

    def ranked(http: httpx.Client, probes: list[list[float]]) -> list[tuple[str, float]]:
        """Per probe its best person and score."""
        answer = http.post("/identify", json={"collection": collection, "embeddings": probes})
        faces = [result["faces"][0] for result in answer.json()["results"]]
        best = [face["matches"][0] if face["matches"] else None for face in faces]
        return [(match["person"], match["score"]) if match else ("", -1.0) for match in best]

    def call(caller: int) -> None:
        random = np.random.default_rng(caller)
        with httpx.Client(base_url=url, timeout=30) as http:
            for step in range(ROUNDS):
                person, faces = f"p{caller}-{step}", random.normal(size=(2, 256)).tolist()
                assert http.post(people, json={"id": person}).status_code == 201
                added = http.post(f"{people}/{person}/faces", json={"embeddings": faces})
                assert added.status_code == 201
                for found, score in ranked(http, faces):
                    assert (found, score > SAME) == (person, True)
                if step % 2:
                    assert http.delete(f"{people}/{person}").status_code == 204
                    assert all(found != person for found, _ in ranked(http, faces))

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))
    with httpx.Client(base_url=url) as http:
        held = http.get(f"/collections/{collection}").json()
    assert (held["people"], held["faces"]) == (CALLERS * ROUNDS // 2, CALLERS * ROUNDS)
