"""The shape of the code: who may import whom, how long a file may grow, what a start loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("scsc", "models", "app")  # the right may import the left
MAX_LINES = 400

# Inside app: a part (a file or a folder) -> the parts it may import. A new part needs a row.
BASE = {"errors", "entities", "settings", "metrics", "cpu", "names", "actor", "batching", "tracing"}
ENGINE = {"sessions"}  # how the engine is opened, for those that run networks
ADAPTERS = {"runtime", "index", "store", "detectors"}  # blind to one another
SERVICE = BASE | {"wiring", "main"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "entities": set(),
    "cpu": set(),
    "memory": set(),
    "actor": set(),
    "names": {"errors"},
    "metrics": {"tracing"},
    "tracing": set(),
    "logs": set(),
    "batching": {"errors"},
    "settings": {"errors"},
    "sessions": BASE,
    **dict.fromkeys(ADAPTERS, BASE | ENGINE),
    "archive": BASE | {"store"},
    "pipeline": BASE | ADAPTERS,
    "gallery": BASE | {"index", "store", "archive"},
    "api": BASE | {"pipeline", "gallery"},  # asks the gallery, never a back-end
    "wiring": BASE | ADAPTERS | {"pipeline", "gallery"},  # the only one to name back-ends
    "main": BASE | {"logs", "memory", "pipeline", "gallery", "api", "wiring"},
    "client": BASE | {"api"},  # parses with the schemas
    "commands": SERVICE | {"archive", "pipeline", "gallery", "api", "client"},
    "bench": SERVICE | ENGINE | ADAPTERS | {"client", "commands", "pipeline", "gallery", "memory"},
    "cli": SERVICE | {"commands"},
}

# Of models, the service reads the cards, finds the files and enhances crops as training does; only
# the PyTorch runtime builds nets.
MODELS_FOR_APP = {"models.catalog", "models.weights", "models.low_light", "models.dealing"}
BUILDS_NETWORKS = "app/runtime/pytorch.py"

# They hide a module of the standard library or a dependency, or say nothing of what is inside.
BAD_NAMES = {
    *("types", "torch", "collections", "logging", "typing", "faiss", "onnxruntime", "cv2", "numpy"),
    *("utils", "util", "helpers", "helper", "core", "common", "misc", "manager", "base_classes"),
}

HEAVY_AT_START = ("torch", "insightface", "skimage", "matplotlib")
HEAVY_FOR_HELP = (*HEAVY_AT_START, "numpy", "cv2", "onnxruntime", "faiss", "fastapi", "sqlalchemy")

READS_ENVIRONMENT = {"app/__init__.py", "app/settings.py", "app/commands/options.py"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it; `from a import b` gives a.b."""
    package = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part(dotted: str) -> str:
    """app.store.store -> store; "" for the package itself."""
    return [*dotted.split("."), ""][1]


def file_part(path: Path) -> str:
    """app/store/store.py -> store, app/main.py -> main, app/__init__.py -> "" """
    first = path.relative_to(ROOT / "app").parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def loaded_by(module: str, names: tuple[str, ...]) -> list[str]:
    """Which of `names` a fresh interpreter has loaded after importing `module`."""
    probe = f"import sys, {module}; print(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_left_of_it(package: str):
    right = set(PACKAGES[PACKAGES.index(package) + 1 :])
    wrong = [
        f"{relative(path)} imports {name}"
        for path in sources(package)
        for name in imported(path)
        if name.split(".")[0] in right | {"tests"}
    ]
    assert not wrong


def test_inside_app_imports_follow_the_table():
    wrong = []
    for path in sources("app"):
        here = file_part(path)
        if not here:  # app/__init__.py holds nothing that could import
            continue
        assert here in MAY_IMPORT, f"app/{here} has no row in MAY_IMPORT"
        wrong += [
            f"{relative(path)} imports {name}"
            for name in imported(path)
            if name.split(".")[0] == "app" and part(name) not in MAY_IMPORT[here] | {here, ""}
        ]
    assert not wrong


def test_only_main_and_the_command_line_import_wiring():
    users = {
        file_part(path) for path in sources("app") for n in imported(path) if "app.wiring" in n
    }
    assert users <= {"main", "cli", "commands", "bench"}


def test_the_client_takes_only_schemas_from_the_api():
    taken = {name for name in imported(ROOT / "app/client.py") if name.startswith("app.api")}
    schemas = ("app.api.schemas.", "app.api.access_schemas.")
    assert all(name.startswith(schemas) for name in taken)


def test_app_takes_only_cards_weights_and_crops_from_models():
    wrong = [
        f"{relative(path)} imports {name}"
        for path in sources("app")
        for name in imported(path)
        if name.split(".")[0] in ("models", "scsc")
        and not any(name == known or name.startswith(f"{known}.") for known in MODELS_FOR_APP)
        and relative(path) != BUILDS_NETWORKS
    ]
    assert not wrong


@pytest.mark.parametrize("name", ["catalog", "weights"])
def test_cards_and_weights_need_only_the_standard_library(name: str):
    allowed = sys.stdlib_module_names | {"models"}
    path = ROOT / "models" / f"{name}.py"
    assert [n for n in imported(path) if n.split(".")[0] not in allowed] == []


def test_no_file_is_longer_than_a_sitting():
    lengths = {
        relative(path): len(path.read_text().splitlines()) for path in sources(*PACKAGES, "tests")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_file_names_are_nouns_of_the_domain():
    assert [relative(path) for path in sources(*PACKAGES) if path.stem in BAD_NAMES] == []


def test_the_environment_is_read_in_one_place():
    wrong = []
    for path in sources("app"):
        if relative(path) in READS_ENVIRONMENT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute | ast.Name | ast.alias):
                name = getattr(node, "attr", None) or getattr(node, "id", None) or node.name
                if name in ("environ", "getenv"):
                    wrong.append(f"{relative(path)}:{node.lineno}")
    assert not wrong


def test_the_service_starts_without_torch():
    assert loaded_by("app.main", HEAVY_AT_START) == []


def test_help_loads_nothing_heavy():
    assert loaded_by("app.cli", HEAVY_FOR_HELP) == []
