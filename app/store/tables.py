"""The tables, in SQLAlchemy Core. Every change here needs a migration beside it.

Keys are integers that are never used twice (AUTOINCREMENT), so neither an index that lags behind
nor a client that kept a face's id can ever meet another face under it. What callers name, the
collection's name and the person's id, is unique text next to the key.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python. SQLite has no time zones, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


# 64 bits everywhere; SQLite counts up by itself only what is called INTEGER, which has them.
Key = BigInteger().with_variant(Integer(), "sqlite")

# In the order of its code points everywhere; PostgreSQL would follow the database's language.
Name = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

collections = Table(
    "collections",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("contract", Text, nullable=False),  # Contract.id of every vector in it
    Column("model", Text, nullable=False),  # Contract.model, to name it in a sentence
    Column("dim", Integer, nullable=False),
    Column("threshold", Float),  # null: the model card's
    Column("keep_crops", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retention_days", Integer),  # null: the setting's; 0: for ever
    sqlite_autoincrement=True,
)

people = Table(
    "people",
    metadata,
    Column("id", Key, primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    Column("person", Name, nullable=False),  # the caller's id
    Column("name", Text, nullable=False),
    # Id and name, case-folded: LIKE alone ignores the case of ASCII letters only.
    Column("folded", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("collection_id", "person"),
    sqlite_autoincrement=True,
)

faces = Table(
    "faces",
    metadata,
    Column("id", Key, primary_key=True),
    # Known through the person too; here so that a collection's vectors are read in key order.
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    # (D,) little-endian float32 of unit length, sealed where the store is; see sealing.py.
    Column("embedding", LargeBinary, nullable=False),
    Column("quality", Float),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "collection_id", "id"),
    Index(None, "person_id"),
    sqlite_autoincrement=True,
)

# Apart from the faces, so that a scan over vectors does not wade through pictures.
crops = Table(
    "crops",
    metadata,
    Column("face_id", ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    Column("png", LargeBinary, nullable=False),  # sealed likewise
)

# The other model of a collection that moves, or has moved, from one to another; see other_vectors.
reembeddings = Table(
    "reembeddings",
    metadata,
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("contract", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("threshold", Float),  # the collection's own while it goes by this model
    Column("served", Boolean, nullable=False),  # it went by this model before
)

# Vectors of that model, of as many faces as have one.
other_vectors = Table(
    "other_vectors",
    metadata,
    Column("face_id", ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    Column("embedding", LargeBinary, nullable=False),  # as in faces
)

# No row: vectors and crops are not encrypted. One: what proves their key; see sealing.py.
encryption = Table(
    "encryption",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("proof", LargeBinary, nullable=False),
)

# What the index may not have heard of yet; see journal.py. No foreign keys: an entry outlives
# the row that it is about.
changes = Table(
    "changes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("collection_id", Key, nullable=False),
    Column("face_id", Key),  # null: the collection as a whole
    sqlite_autoincrement=True,
)

# Answers to changes that may be repeated; see replies.py. No foreign keys: an answer that was
# erased still says that its request was carried out.
replies = Table(
    "replies",
    metadata,
    Column("key", Text, primary_key=True),  # SHA-256 of the caller's Idempotency-Key
    Column("request", Text, nullable=False),  # HMAC-SHA-256 of the request under that key
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary),  # null: erased
    Column("collection_id", Key),
    Column("person_id", Key),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "collection_id"),
    Index(None, "person_id"),
    Index(None, "created_at"),
)

# Who may ask; see key_rows.py. A revoked key stays, so that the audit log's names keep a meaning.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),  # of the secret
    Column("rate", Text),  # e.g. 100/minute; null: the setting's
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

# Append-only, by a trigger too; see audit_rows.py.
audit = Table(
    "audit",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=False),  # 1, 2, 3: without a gap
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("collection", Text),
    Column("people", JSON, nullable=False),  # ids: those who were changed or recognised
    Column("shown", JSON, nullable=False),  # ids: those who were ranked and not recognised
    Column("hash", Text, nullable=False),
)
