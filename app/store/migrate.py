"""Brings the schema up to date at start: all steps in one transaction, or none of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.errors import SettingsError

FOLDER = Path(__file__).parent / "migrations"


def known() -> set[str]:
    """Every revision that this version can open."""
    return _revisions(ScriptDirectory.from_config(_config()))


def migrate(connection: Connection) -> None:
    """`connection` is in a transaction that holds the write lock, so a second process waits."""
    config = _config()
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in _revisions(script):
        raise SettingsError(
            f"the data was written by a newer version (schema {found}; this version knows up to "
            f"{script.get_current_head()}): start that version, or restore a backup"
        )
    if found != script.get_current_head():
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revisions(script: ScriptDirectory) -> set[str]:
    return {revision.revision for revision in script.walk_revisions()}
