"""Looking at a picture twice: large for small faces, small for large ones.

Measured on LFW photographs enlarged five times, against the landmarks of the originals: in a single
pass the landmarks of a 450-pixel face stray so far that the mean cosine between the embeddings
falls from 0.955 to 0.868 (CenterFace) or 0.856 (YuNet); with the second pass to 0.954 or 0.942.
The second pass costs about a tenth of the first.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from app.detectors.geometry import nms, shrunk, to_faces
from app.entities import Face, Floats, Image

_COARSE_SIDE = 256  # pixels, the longest side of the small copy
_LARGE = 192  # pixels of the first pass; longer faces are taken from the second
_OVERLAP = 0.3


class Found(NamedTuple):
    """Candidates of one pass, in the picture's own pixels."""

    boxes: Floats  # (N, 4)
    landmarks: Floats  # (N, 5, 2)
    scores: Floats  # (N,)


def find_at_two_scales(
    find: Callable[[Image, int], Found], image: Image, max_side: int, *, sharp: bool = False
) -> list[Face]:
    """`find(image, side)` looks at the picture with its longer side at most `side` pixels.

    `sharp` is how a picture beyond `max_side` is shrunk, see there.
    """
    # Shrunk once: the small copy is made of the large one, not of a picture several times larger.
    large_copy, step_x, step_y = shrunk(image, max_side, sharp=sharp)
    found, ranks = _both(find, large_copy, max_side)
    kept = nms(found.boxes, ranks, _OVERLAP)
    step = np.array([step_x, step_y], np.float32)
    return to_faces(
        found.boxes[kept] * np.tile(step, 2),
        found.landmarks[kept] * step,
        found.scores[kept],
        image,
    )


def _both(find: Callable[[Image, int], Found], image: Image, max_side: int) -> tuple[Found, Floats]:
    """The candidates of both passes, and by which rank (N,) they are thinned."""
    fine = find(image, max_side)
    if max(image.shape[:2]) <= _COARSE_SIDE:
        return fine, fine.scores
    coarse = find(image, _COARSE_SIDE)
    large = np.max(coarse.boxes[:, 2:] - coarse.boxes[:, :2], axis=1) > _LARGE
    both = Found(
        np.concatenate([coarse.boxes[large], fine.boxes]),
        np.concatenate([coarse.landmarks[large], fine.landmarks]),
        np.concatenate([coarse.scores[large], fine.scores]),
    )
    # Where both passes have a face, the rank lets the small copy's win whatever the scores.
    return both, np.concatenate([coarse.scores[large] + 1, fine.scores])
