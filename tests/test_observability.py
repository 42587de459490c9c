"""What is shown outside against what the service tells: queries, and the table of metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import Metric

from app import metrics

ROOT = Path(__file__).parents[1]
DASHBOARD = ROOT / "docker/grafana/dashboards/face.json"
ALERTS = ROOT / "docker/prometheus/alerts.yml"
# Labels that Prometheus adds by itself, and the one of a histogram's buckets.
ADDED = {"instance", "job", "le"}


def families() -> list[tuple[Metric, set[str]]]:
    """What the service tells, each with its labels."""
    return [
        (family, set(getattr(collector, "_labelnames", ())))
        for collector in metrics.REGISTRY._collector_to_names
        for family in collector.collect()
    ]


def series() -> dict[str, set[str]]:
    """Each name that a query may use -> its labels."""
    names = {}
    for family, labels in families():
        match family.type:
            case "counter":
                names[f"{family.name}_total"] = labels
            case "histogram":
                names |= {f"{family.name}_{part}": labels for part in ("bucket", "sum", "count")}
            case _:
                names[family.name] = labels
    return names


def queries() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.M)


def test_there_are_queries():
    assert len(list(queries())) > 15


@pytest.mark.parametrize("query", list(queries()))
def test_every_query_uses_metrics_and_labels_that_exist(query: str):
    known, allowed = series() | {"up": set()}, set(ADDED)
    used = re.findall(r"\b((?:face|process)_\w+|up)\b(?:{([^}]*)})?", query)
    assert used
    for name, matchers in used:
        assert name in known
        allowed |= known[name]
        assert set(re.findall(r"(\w+)(?:=~|!=|=)", matchers)) <= known[name] | ADDED
    for group in re.findall(r"by \(([^)]*)\)", query):
        assert set(group.split(", ")) <= allowed


def test_panels_have_places_and_numbers_of_their_own():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    corners = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(corners) == len(panels)


def test_every_metric_and_stage_is_documented():
    page = (ROOT / "docs/observability.md").read_text()
    rows = re.findall(r"^\| `(face_\w+)` \|([^|]*)\|", page, re.M)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented == {
        family.name + ("_total" if family.type == "counter" else ""): labels
        for family, labels in families()
        if family.name.startswith("face_")
    }
    stages = re.findall(r"^\| `(\w+)` \|", page.split("## Stages")[1].split("\n## ")[0], re.M)
    assert tuple(stages) == get_args(metrics.Stage)
