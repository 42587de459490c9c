"""Faces -> crops (N, 112, 112, 3): five landmarks laid onto the ArcFace template by a similarity.

Template: github.com/deepinsight/insightface, as used by ArcFace (arXiv 1801.07698), for 112 x 112.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from app.entities import Floats, Image

CROP_SIZE = 112  # pixels, both sides
TEMPLATE: Floats = np.array(
    [
        [38.2946, 51.6963],  # left eye, as the viewer sees it
        [73.5318, 51.5014],
        [56.0252, 71.7366],  # nose
        [41.5493, 92.3655],  # left mouth corner
        [70.7299, 92.2041],
    ],
    np.float32,
)
_MARGIN = 2  # source pixels around what a crop samples, for the interpolation

Matrix = npt.NDArray[np.float64]  # (2, 3), source pixel -> crop pixel


def similarity(landmarks: Floats) -> Matrix:
    """The turn, scale and shift (2, 3) that bring landmarks (5, 2) closest to the template.

    Least squares in closed form: as complex numbers, w = a z + b with a = <z, w> / <z, z> about the
    means. It cannot mirror. Landmarks that all coincide give a scale of 0.
    """
    source = landmarks.astype(np.float64)
    target = TEMPLATE.astype(np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    z = (source - source_mean) @ np.array([1, 1j])  # (5,)
    w = (target - target_mean) @ np.array([1, 1j])
    spread = np.vdot(z, z).real
    a = np.vdot(z, w) / spread if spread > 1e-12 else 0j
    linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def enlargement(landmarks: Floats) -> float:
    """Crop pixels that one pixel of the landmarks' picture becomes; 0 where they coincide."""
    return _scale(similarity(landmarks))


def align_face(image: Image, landmarks: Floats) -> Image:
    """One crop (112, 112, 3). Beyond the picture's edge the edge pixel is repeated."""
    matrix = similarity(landmarks)
    scale = _scale(matrix)
    if 0 < scale <= 0.5:
        image, matrix = _shrunk(image, matrix, math.floor(1 / scale))
    crop = cv2.warpAffine(
        image,
        matrix,
        (CROP_SIZE, CROP_SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)


def align_faces(image: Image, landmarks: Floats) -> Image:
    """Landmarks (N, 5, 2) of one picture -> crops (N, 112, 112, 3)."""
    crops = np.empty((len(landmarks), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for crop, points in zip(crops, landmarks, strict=True):
        crop[:] = align_face(image, points)
    return crops


def _scale(matrix: Matrix) -> float:
    return math.hypot(matrix[0, 0], matrix[1, 0])


def _shrunk(image: Image, matrix: Matrix, factor: int) -> tuple[Image, Matrix]:
    """The part of the picture that the crop samples, shrunk by area means, and its own matrix.

    Linear interpolation reads four pixels only: of a face several times larger than the crop it
    would drop most pixels and alias.
    """
    left, top, right, bottom = _sampled(matrix, image.shape[1], image.shape[0])
    part = image[top:bottom, left:right]
    width, height = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # Centres of pixels: source = (small + 0.5) * step - 0.5 + corner.
    step = np.array([(right - left) / width, (bottom - top) / height])
    shift = 0.5 * step - 0.5 + np.array([left, top])
    linear = matrix[:, :2] * step
    return np.asarray(small, np.uint8), np.column_stack(
        [linear, matrix[:, :2] @ shift + matrix[:, 2]]
    )


def _sampled(matrix: Matrix, width: int, height: int) -> tuple[int, int, int, int]:
    """The rectangle left, top, right, bottom inside the picture that the crop's corners span."""
    last = CROP_SIZE - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]], np.float64)
    source = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T)  # (2, 4)
    pad = _MARGIN + 1 / _scale(matrix)
    left, top = np.floor(source.min(1) - pad)
    right, bottom = np.ceil(source.max(1) + pad) + 1
    # At least one pixel is left, also when the landmarks lie outside of the picture.
    left, top = int(np.clip(left, 0, width - 1)), int(np.clip(top, 0, height - 1))
    return (
        left,
        top,
        int(np.clip(right, left + 1, width)),
        int(np.clip(bottom, top + 1, height)),
    )
