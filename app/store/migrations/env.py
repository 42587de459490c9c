"""Alembic's entry: runs the steps on the connection and in the transaction of its caller."""

from alembic import context

from app.store.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite alters a table by copying it.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
