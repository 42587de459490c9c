"""What detectors share: fitting a picture into a network's input, and thinning out its boxes."""

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pil

from app.entities import Face, Floats, Image


def fit(image: Image, max_side: int, multiple: int) -> tuple[Image, float, float]:
    """The picture `shrunk`, black added right and below up to a `multiple`; and the steps."""
    image, step_x, step_y = shrunk(image, max_side)
    height, width = image.shape[:2]
    full_height, full_width = (-(-side // multiple) * multiple for side in (height, width))
    padded = np.zeros((full_height, full_width, 3), np.uint8)
    padded[:height, :width] = image
    return padded, step_x, step_y


def shrunk(image: Image, max_side: int, *, sharp: bool = False) -> tuple[Image, float, float]:
    """The picture at no more than `max_side`, never enlarged, by area means.

    Also the steps (x, y) from its pixels back to the picture's own. `sharp`: where it becomes less
    than two times smaller, by a bicubic filter instead: means over one to two pixels blur.
    """
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    # A thin strip keeps at least a pixel; the steps stay true for each side on its own.
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    size = new_width, new_height
    if size != (width, height):
        if sharp and scale > 0.5:  # by Pillow, whose filter grows with the step; OpenCV's aliases
            image = np.asarray(Pil.fromarray(image).resize(size, Pil.Resampling.BICUBIC))
        else:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image, width / new_width, height / new_height


def nms(boxes: Floats, scores: Floats, limit: float) -> npt.NDArray[np.intp]:
    """Indices of the boxes (N, 4) to keep, best score first: none overlaps a better one by `limit`.

    Overlap is intersection over union.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[np.intp] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[rest, :2])
        sides = np.clip(np.minimum(boxes[best, 2:], boxes[rest, 2:]) - corner, 0, None)
        shared = np.prod(sides, axis=1)
        union = areas[best] + areas[rest] - shared
        order = rest[shared < limit * np.maximum(union, 1e-9)]
    return np.array(kept, np.intp)


def to_faces(boxes: Floats, landmarks: Floats, scores: Floats, image: Image) -> list[Face]:
    """(N, 4), (N, 5, 2), (N,) in the picture's pixels -> faces, best first, boxes clipped to it.

    A box of which nothing lies inside is left out.
    """
    height, width = image.shape[:2]
    clipped = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    return [
        Face(
            box=clipped[i].astype(np.float32),
            landmarks=landmarks[i].astype(np.float32),
            score=float(np.clip(scores[i], 0, 1)),
        )
        for i in np.argsort(-scores, kind="stable")
        if np.all(clipped[i, 2:] > clipped[i, :2])
    ]
