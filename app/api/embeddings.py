"""Embeddings as callers send and get them."""

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from app.entities import Contract, Floats
from app.errors import BadRequest, ContractMismatch

WIRE = np.dtype("<f4")  # little-endian float32


def vectors(given: Sequence[Sequence[float] | str], dim: int) -> Floats:
    """-> (N, D) float32 of unit length; raises BadRequest that names the first bad one."""
    return np.stack([_vector(row, dim, f"embeddings.{i}") for i, row in enumerate(given)])


def require_of(contract: Contract, named: str | None, main: Contract) -> None:
    """Embeddings that came without the name of their contract count as those of the main model."""
    if (named or main.id) != contract.id:
        said = f"of the contract {named}" if named else f"taken to be of the contract {main.id}"
        raise ContractMismatch(
            f"the embeddings are {said}, and the collection holds those of {contract.model} "
            f"(contract {contract.id}): embed with `collection`, and send the `contract` along"
        )


def to_base64(embedding: Floats) -> str:
    return base64.b64encode(embedding.astype(WIRE).tobytes()).decode("ascii")


def _vector(row: Sequence[float] | str, dim: int, name: str) -> Floats:
    try:
        if isinstance(row, str):
            raw = np.frombuffer(base64.b64decode(row, validate=True), WIRE)
        else:
            raw = np.asarray(row)
    except (binascii.Error, ValueError) as exc:
        raise BadRequest(f"{name}: not base64 of little-endian float32") from exc
    if raw.shape != (dim,):
        raise BadRequest(f"{name}: has {raw.size} numbers, the model's have {dim}")
    wide = raw.astype(np.float64)  # the length of large numbers does not fit float32
    length = float(np.linalg.norm(wide))
    if not np.isfinite(length) or length == 0:
        raise BadRequest(f"{name}: has no direction: it is all zero or not finite")
    return (wide / length).astype(np.float32)
