"""README and docs against the code: settings, commands and paths that they name exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli import cli
from app.settings import CLIENT_VARIABLES, PREFIX, Settings

ROOT = Path(__file__).parents[1]
SETTINGS = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | CLIENT_VARIABLES
PATH = re.compile(r"(?<![\w./-])(?:app|models|scsc|tests|docker|docs)/[\w./-]*\w")
SETTING = re.compile(r"\bFACE_[A-Z][A-Z_]*\b")


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(params=pages(), ids=lambda page: page.name)
def text(request: pytest.FixtureRequest) -> str:
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not written yet")
    return request.param.read_text()


def test_settings_named_in_a_page_exist(text: str):
    assert set(SETTING.findall(text)) <= SETTINGS


def test_paths_named_in_a_page_exist(text: str):
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


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
    named = re.findall(r"(?:`|\.venv/bin/|^ {4})face ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= set(get_command(cli).commands)
