import re
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import metrics
from app.api.handlers import CODES
from tests.app.api import photos

OPERATIONS = {
    "/detect": {"post"},
    "/align": {"post"},
    "/embed": {"post"},
    "/verify": {"post"},
    "/identify": {"post"},
    "/enroll": {"post"},
    "/collections": {"get", "post"},
    "/collections/{collection}": {"get", "patch", "delete"},
    "/collections/{collection}/people": {"get", "post"},
    "/collections/{collection}/people/{person}": {"get", "patch", "delete"},
    "/collections/{collection}/people/{person}/faces": {"get", "post"},
    "/collections/{collection}/people/{person}/faces/{face}": {"delete"},
    "/collections/{collection}/people/{person}/faces/{face}/image": {"get"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
    "/models": {"get"},
    "/metrics": {"get"},
    "/backup": {"post"},
    "/fsck": {"post"},
    "/audit": {"get"},
    "/audit/verify": {"get"},
    "/keys": {"get", "post"},
    "/keys/{id}": {"delete"},
    "/collections/{collection}/reembed": {"get", "post", "delete"},
}


def sample(http, name, **labels):
    for family in text_string_to_metric_families(http.get("/metrics").text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return each.value
    return 0.0


def test_health(http):
    assert http.get("/health/live").json() == {"status": "ok"}
    assert http.get("/health/ready").json() == {"status": "ok"}


def test_models_in_use(http):
    models = http.get("/models").json()
    assert (models["detector"], models["runtime"]) == ("centerface", "onnxruntime")
    in_use = {card["name"]: card for card in models["items"] if card["in_use"]}
    assert set(in_use) == {"centerface", models["embedder"]}
    assert in_use["centerface"]["licence"] == "MIT"
    assert in_use[models["embedder"]]["dim"] == 256


def test_requests_faces_and_decisions_are_counted(http, collection):
    path = "/collections/{collection}/people/{person}"
    counted = {"method": "GET", "path": path, "status": "404"}
    before = (
        sample(http, "face_requests_total", **counted),
        sample(http, "face_faces_found_total", operation="identify"),
        sample(http, "face_decisions_total", operation="identify", decision="unknown"),
        sample(http, "face_pictures_refused_total", code="unsupported_image"),
    )
    http.get(f"/collections/{collection}/people/secret-person")
    files = [("image", photos.one_face()), ("image", b"no picture")]
    http.post("/identify", files=files, data={"collection": collection})
    after = (
        sample(http, "face_requests_total", **counted),
        sample(http, "face_faces_found_total", operation="identify"),
        sample(http, "face_decisions_total", operation="identify", decision="unknown"),
        sample(http, "face_pictures_refused_total", code="unsupported_image"),
    )
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1, 1]
    assert "secret-person" not in http.get("/metrics").text


def test_every_stage_is_timed_and_every_problem_counted(http):
    def stages() -> dict[str, float]:
        names = get_args(metrics.Stage)
        return {name: sample(http, "face_stage_seconds_count", stage=name) for name in names}

    before, refused = stages(), sample(http, "face_problems_total", code="unsupported_image")
    runs, compared = (
        sample(http, "face_batch_seconds_count"),
        sample(http, "face_verify_score_count"),
    )
    http.post("/identify", files=[("image", photos.one_face()), ("image", b"no picture")])
    http.post("/verify", files=[("image", photos.one_face())] * 2)
    http.post("/detect", files={"image": b"no picture"})
    more = {name: count - before[name] for name, count in stages().items()}
    assert more == {
        "read": 3,
        "wait": 3,
        "decode": 5,
        "detect": 3,
        "align": 3,
        "embed": 3,
        "search": 1,
        "store": more["store"],
    }
    assert more["store"] >= 1  # a line of the audit log
    assert sample(http, "face_problems_total", code="unsupported_image") == refused + 1
    assert sample(http, "face_batch_seconds_count") > runs
    assert sample(http, "face_verify_score_count") == compared + 1


def test_a_made_up_method_makes_no_label(http):
    http.request("BREW", "/detect")
    assert "BREW" not in http.get("/metrics").text


def test_gallery_sizes_are_as_they_are_at_the_scrape(http, collection):
    people, faces = sample(http, "face_people"), sample(http, "face_stored_faces")
    form = {"person": "ada", "collection": collection}
    http.post("/enroll", files={"image": photos.one_face()}, data=form)
    assert (sample(http, "face_people"), sample(http, "face_stored_faces")) == (
        people + 1,
        faces + 1,
    )


def test_the_document_has_every_operation_and_code(http):
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = {path: set(operations) for path, operations in document["paths"].items()}
    assert paths == OPERATIONS
    for code in CODES:
        assert f"`{code}`" in document["info"]["description"]


@pytest.mark.parametrize("path", ["/detect", "/align", "/embed", "/verify", "/identify", "/enroll"])
def test_both_kinds_of_body_are_described(http, path):
    operation = http.get("/openapi.json").json()["paths"][path]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    assert {"image"} <= set(content["multipart/form-data"]["schema"]["properties"])
    example = content["application/json"]["example"]
    assert set(example) - {"images"} <= set(content["application/json"]["schema"]["properties"])
    default = operation["responses"]["default"]["content"]
    assert set(default) == {"application/problem+json"}


def test_every_reference_of_the_document_leads_somewhere(http):
    answer = http.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert named <= set(schemas)
    assert "$defs" not in answer.text


def test_the_docs_page_needs_no_internet(http):
    page = http.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("/docs-assets/")
        assert http.get(asset).status_code == 200
    assert "://" not in page
