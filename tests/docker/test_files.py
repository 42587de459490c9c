"""What stands in docker/ against the schemas of those who read it, and against the service."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app import metrics
from app.main import VERSION
from app.settings import PREFIX, Settings
from models.weights import FOLDER

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
MANIFESTS = sorted((DOCKER / "kubernetes").glob("*.yaml"))
KUBERNETES = "1.31"  # the oldest that is promised
SETTINGS = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
IMAGE_PYTHON = {
    "implementation_name": "cpython",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
    "sys_platform": "linux",
}
METRIC = re.compile(r"\bface_[a-z_]+")
IMAGES = [ROOT / "Dockerfile", DOCKER / "gpu.Dockerfile"]


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def checked(schema: str, files: list[Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("compose-spec", sorted(DOCKER.glob("compose*.yml"))),
        ("github-workflows", sorted((ROOT / ".github/workflows").glob("*.yml"))),
    ],
)
def test_files_are_as_their_schema_says(schema: str, files: list[Path]):
    assert files
    done = checked(schema, files)
    assert done.returncode == 0, done.stdout


def test_the_schemas_find_a_slip(tmp_path: Path):
    wrong = tmp_path / "compose.yml"
    wrong.write_text("services: {face: {image: face, volume: [data:/data]}}")
    assert checked("compose-spec", [wrong]).returncode != 0


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_as_kubernetes_wants_them(path: Path):
    for document in documents(path):
        validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_pods_are_not_root_cannot_write_and_are_probed(path: Path):
    (workload,) = [
        each for each in documents(path) if each["kind"] in ("Deployment", "StatefulSet")
    ]
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"].startswith("/health/")


def named_metrics(path: Path) -> set[str]:
    match path.suffix:
        case ".json":
            panels = json.loads(path.read_text())["panels"]
            text = " ".join(target["expr"] for panel in panels for target in panel["targets"])
        case _ if "kubernetes" in path.parts:
            (scaler,) = [d for d in documents(path) if d["kind"] == "HorizontalPodAutoscaler"]
            text = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
        case _:
            rules = documents(path)[0]["groups"][0]["rules"]
            text = " ".join(rule["expr"] for rule in rules)
    return set(METRIC.findall(text))


@pytest.mark.parametrize(
    "path",
    [
        DOCKER / "grafana/dashboards/face.json",
        DOCKER / "prometheus/alerts.yml",
        DOCKER / "kubernetes/scale.yaml",
    ],
    ids=lambda path: path.name,
)
def test_the_metrics_that_are_asked_for_exist(path: Path):
    families = list(metrics.REGISTRY.collect())
    known = {sample for family in families for sample in samples(family.name, family.type)}
    assert named_metrics(path)
    assert named_metrics(path) <= known


def samples(name: str, kind: str) -> Iterator[str]:
    match kind:
        case "counter":
            yield f"{name}_total"
        case "histogram":
            yield from (f"{name}_bucket", f"{name}_sum", f"{name}_count")
        case _:
            yield name


@pytest.mark.parametrize("path", [*IMAGES, *sorted(DOCKER.glob("compose*.yml")), *MANIFESTS])
def test_the_settings_that_are_given_exist(path: Path):
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", path.read_text())) <= SETTINGS


def test_what_the_image_needs_reaches_its_builder():
    """.dockerignore lets through every file that is copied, and nothing of the tests."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    for image in IMAGES:
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", image.read_text(), re.MULTILINE)
        names = [name for line in copied for name in line.split()]
        assert names
        for name in names:
            assert (ROOT / name).exists()
            assert any(Path(name).match(pattern) for pattern in allowed), name
    assert (FOLDER / "scsc_faceresnet.onnx").is_file()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-gpu.txt"])
def test_the_image_has_no_torch_and_every_pin_a_hash(name: str):
    text = (DOCKER / name).read_text().replace("\\\n", "")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(pins) > 40
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert not [
        pin for pin in pins if pin.startswith(("torch", "imageio-ffmpeg", "opencv-python="))
    ]


def locked_versions() -> dict[str, str]:
    """Of Python 3.11 on Linux, where the lock has several."""
    found = {}
    for line in re.findall(r"^[a-z0-9].*==[^\\]*", (DOCKER / "requirements.txt").read_text(), re.M):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(IMAGE_PYTHON):
            (specifier,) = pin.specifier
            found[canonicalize_name(pin.name)] = specifier.version
    return found


def test_the_lock_follows_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = locked_versions()
    locked["opencv-python"] = locked["opencv-python-headless"]
    for wanted in map(Requirement, project["dependencies"]):
        version = locked.get(canonicalize_name(wanted.name), "")
        assert version in wanted.specifier, f"run `make lock` for {wanted.name}"


def test_the_licences_are_those_of_what_is_locked():
    rows = re.findall(r"^\| (\S+) \| (\S+) \|", (ROOT / "docs/licences.md").read_text(), re.M)
    told = {canonicalize_name(name): version for name, version in rows}
    wrong = {name for name, version in locked_versions().items() if told.get(name) != version}
    assert wrong == {"setuptools"}, "run `make licences`"  # it is taken out of the image again


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
    assert project["version"] == VERSION == newest
