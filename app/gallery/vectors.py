"""The gallery's door for embeddings: what passes is finite, of the model's length, of unit norm."""

from io import BytesIO
from math import isfinite

import numpy as np
from PIL import Image as Pictures

from app.entities import Floats, Image, NewFace
from app.errors import BadRequest
from app.store.face_rows import FaceToAdd


def unit_rows(embeddings: Floats, dim: int) -> Floats:
    """(N, D) of any length -> (N, D) float32 of unit length, C-contiguous."""
    rows = np.asarray(embeddings, np.float64)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise BadRequest(f"an embedding must have {dim} numbers")
    if not np.isfinite(rows).all():
        raise BadRequest("an embedding must have finite numbers only")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if (largest == 0).any():
        raise BadRequest("an embedding of zeros has no direction")
    rows = rows / largest  # so that no square overflows or vanishes
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def stored_form(face: NewFace, dim: int, keep_crop: bool) -> FaceToAdd:
    embedding = unit_rows(np.asarray(face.embedding)[None], dim)[0]
    png = _png(face.crop) if keep_crop and face.crop is not None else None
    return FaceToAdd(embedding, face.quality, png)


def checked_threshold(threshold: float | None) -> float | None:
    if threshold is not None and not (isfinite(threshold) and -1 <= threshold <= 1):
        raise BadRequest("a threshold is a cosine, from -1 to 1")
    return threshold


def _png(crop: Image) -> bytes:
    buffer = BytesIO()
    Pictures.fromarray(crop).save(buffer, "PNG")
    return buffer.getvalue()
