"""All vectors and crops sealed anew: with another key, for the first time, or no longer."""

from sqlalchemy import Column, Connection, bindparam, select, update

from app.store import erasure, sealing
from app.store.sealing import CROP, EMBEDDING, Cipher
from app.store.tables import crops, faces, other_vectors

STEP = 1000  # rows at once
SEALED = (
    (faces.c.id, faces.c.embedding, EMBEDDING),
    (other_vectors.c.face_id, other_vectors.c.embedding, EMBEDDING),
    (crops.c.face_id, crops.c.png, CROP),
)


def rotate(connection: Connection, new: Cipher | None) -> int:
    """Within one transaction, of a store that nobody else uses -> values that were sealed anew.

    The connection goes on with the old key, so nothing may be read of it afterwards.
    """
    erasure.note(connection)
    sealing.put_proof(connection, new)
    return sum(_rotate(connection, new, *each) for each in SEALED)


def _rotate(
    connection: Connection, new: Cipher | None, key: Column[int], value: Column[bytes], kind: bytes
) -> int:
    query = select(key.label("key"), value.label("value")).order_by(key).limit(STEP)
    change = update(key.table).where(key == bindparam("row")).values({value: bindparam("sealed")})
    last = count = 0
    while rows := connection.execute(query.where(key > last)).all():
        plain = [(row.key, sealing.opened(connection, row.value, kind)) for row in rows]
        connection.execute(
            change,
            [
                {"row": number, "sealed": data if new is None else new.seal(data, kind)}
                for number, data in plain
            ],
        )
        last, count = rows[-1].key, count + len(rows)
    return count
