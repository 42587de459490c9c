"""README and docs against the code: settings, commands and paths that they name exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.api import options
from app.api.handlers import CODES
from app.cli import cli
from app.settings import CLIENT_VARIABLES, PREFIX, Settings

ROOT = Path(__file__).parents[1]
SETTINGS = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | CLIENT_VARIABLES
PATH = re.compile(r"(?<![\w./-])(?:app|models|scsc|tests|docker|docs)/[\w./-]*\w")
SETTING = re.compile(r"\bFACE_[A-Z][A-Z_]*\b")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")  # ](path#anchor)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def linking_pages() -> list[Path]:
    packages = (ROOT / folder for folder in ("models", "scsc"))
    beside_code = (page for folder in packages for page in sorted(folder.rglob("*.md")))
    return [*pages(), ROOT / "CHANGELOG.md", *beside_code]


@pytest.fixture(params=pages(), ids=lambda page: page.name)
def text(request: pytest.FixtureRequest) -> str:
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not written yet")
    return request.param.read_text()


def test_settings_named_in_a_page_exist(text: str):
    assert set(SETTING.findall(text)) <= SETTINGS


def test_paths_named_in_a_page_exist(text: str):
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


def anchors(page: Path) -> set[str]:
    """Of its headings, made as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", linking_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path):
    dead = []
    for path, anchor in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        known = target.exists() and (not anchor or anchor in anchors(target))
        dead += [] if known else [f"{path}#{anchor}"]
    assert dead == []


def test_every_command_and_option_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    missing = []
    for name, command in get_command(cli).commands.items():
        missing += [] if f"face {name}" in text else [name]
        section = text.split(f"## face {name}", 1)[-1].split("\n## ", 1)[0]
        options = [opt for param in command.params for opt in param.opts if opt.startswith("--")]
        missing += [f"{name} {opt}" for opt in options if opt not in section and opt != "--help"]
    assert missing == []


def test_every_make_target_of_a_page_exists(text: str):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_every_command_of_a_page_exists(text: str):
    named = re.findall(r"(?:`|\.venv/bin/|^ {4})face ([a-z-]+)", text, re.MULTILINE)
    assert set(named) <= set(get_command(cli).commands)


def test_every_setting_is_documented_with_its_default():
    text = (ROOT / "docs/settings.md").read_text()
    rows = re.findall(r"^\| `(FACE_\w+)` \| (?:`([^`]*)` )?\|", text, re.M)
    documented = {name: default for name, default in rows if name not in CLIENT_VARIABLES}
    made = Settings()  # a default that is text, number or path is compared as its field reads it
    given = {name.removeprefix(PREFIX).lower(): text or None for name, text in documented.items()}
    assert given.keys() == Settings.model_fields.keys()
    assert Settings(**given) == made
    assert all(f"| `{name}` |" in text for name in CLIENT_VARIABLES)


def sections() -> dict[str, str]:
    """`POST /detect` -> what the page says of it."""
    _, *found = re.split(r"^### (.+)$", (ROOT / "docs/api.md").read_text(), flags=re.M)
    texts = [text.split("\n## ")[0] for text in found[1::2]]
    return dict(zip(found[::2], texts, strict=True))


@pytest.mark.parametrize(
    ("operation", "model"),
    [
        ("POST /detect", options.DetectOptions),
        ("POST /align", options.AlignOptions),
        ("POST /embed", options.EmbedOptions),
        ("POST /verify", options.VerifyOptions),
        ("POST /identify", options.IdentifyOptions),
        ("POST /enroll", options.EnrolOptions),
        ("POST /collections/{collection}/people", options.PersonOptions),
        ("POST /collections/{collection}/people/{person}/faces", options.FacesOptions),
    ],
)
def test_every_option_of_an_operation_is_documented(operation: str, model: type[options.Options]):
    rows = re.findall(r"^\| `(\w+)` \|", sections()[operation], re.M)
    assert set(rows) == set(model.model_fields)


def test_every_code_of_a_problem_is_documented():
    table = (ROOT / "docs/api.md").read_text().split("## Errors")[1]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", table, re.M)
    assert {code: int(status) for code, status in rows} == CODES
