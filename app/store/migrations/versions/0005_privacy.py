"""How long faces are kept, and what an encryption key is proved by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.create_table(
        "encryption",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_encryption"),
    )
