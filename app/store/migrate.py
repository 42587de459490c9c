"""Brings the schema up to date at start: all steps in one transaction, or none of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.errors import SettingsError

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """`connection` is in a transaction that holds the write lock, so a second process waits."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if found is not None and found not in known:
        raise SettingsError(
            f"the data was written by a newer version (schema {found}; this version knows up to "
            f"{script.get_current_head()}): start that version, or restore a backup"
        )
    if found != script.get_current_head():
        command.upgrade(config, "head")
