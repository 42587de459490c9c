"""What the answers about keys and the audit log look like; see schemas.py for the others."""

from datetime import datetime
from typing import Self

from pydantic import Field

from app.api.schemas import Given, Schema
from app.entities import ApiKey, AuditLine, Role


class KeyIn(Given):
    name: str = Field(description="what or who will use it", examples=["door"])
    role: Role
    rate: str | None = Field(None, description="e.g. 100/minute; null: the setting's")


class KeyOut(Schema):
    id: str
    name: str
    role: Role
    rate: str | None = Field(description="null: the setting's")
    created_at: datetime
    revoked_at: datetime | None = Field(description="null: in use")

    @classmethod
    def from_entity(cls, key: ApiKey) -> Self:
        return cls(
            id=key.id,
            name=key.name,
            role=key.role,
            rate=key.rate,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
        )


class NewKeyOut(KeyOut):
    key: str = Field(description="to be sent as `Authorization: Bearer KEY`; not told again")


class KeyList(Schema):
    items: list[KeyOut]


class AuditLineOut(Schema):
    seq: int = Field(description="1, 2, 3: without a gap")
    at: datetime
    actor: str = Field(description="key:ID, or anybody where no key is asked for, or local")
    action: str
    collection: str | None
    people: list[str] = Field(description="ids of those who were changed or recognised")
    shown: list[str] = Field(description="ids of those who were ranked and not recognised")

    @classmethod
    def from_entity(cls, line: AuditLine) -> Self:
        return cls(
            seq=line.seq,
            at=line.at,
            actor=line.actor,
            action=line.action,
            collection=line.collection,
            people=list(line.people),
            shown=list(line.shown),
        )


class AuditPage(Schema):
    items: list[AuditLineOut]


class AuditVerdict(Schema):
    ok: bool
    head: str = Field(description="number and hash of the last line; noted elsewhere, it proves")
    fault: str | None = Field(description="what is wrong, and at which line")
