"""Is a face good enough to enrol? Measured on the landmarks and the crop, judged by plain rules."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from app.entities import Face, Floats, Image, Quality
from app.errors import LowQuality

# Where a part stops to matter: at and above it the part scores 1.
_FULL_SIZE = 112.0  # pixels, the crop's own side
_FULL_SHARPNESS = 300.0
_DARK, _DIM, _BRIGHT, _GLARING = 20.0, 70.0, 190.0, 245.0  # mean luma, 0..255
_NOSE_DROP = 0.49  # of the way from the eyes down to the mouth, on a level face
_NOSE_HEIGHT = 0.45  # out of the face's plane, in distances between the eyes


@dataclass(frozen=True)
class QualityRules:
    """The least that enrolment accepts. Modest: an ordinary photograph of a face passes."""

    min_size: float = 32.0  # pixels, shorter side of the box
    min_sharpness: float = 15.0  # variance of the crop's Laplacian
    min_brightness: float = 25.0  # mean luma of the crop, 0..255
    max_brightness: float = 240.0
    min_frontal: float = 0.15  # 1 looks at the camera, 0 is a profile
    min_score: float = 0.5  # of the detector, 0..1

    def check(self, face: Face) -> None:
        """Raises LowQuality with the first part that fails and its number."""
        quality = face.quality
        if quality is None:
            raise ValueError("the face was not measured")
        for value, least, fault in (
            (
                quality.size,
                self.min_size,
                "is too small: {:.0f} pixels, at least {:.0f} are needed",
            ),
            (face.score, self.min_score, "is doubtful: score {:.2f}, at least {:.2f} is needed"),
            (
                quality.brightness,
                self.min_brightness,
                "is too dark: {:.0f}, at least {:.0f} of 255",
            ),
            (
                quality.sharpness,
                self.min_sharpness,
                "is blurred: sharpness {:.0f}, at least {:.0f}",
            ),
            (quality.frontal, self.min_frontal, "is turned away: frontal {:.2f}, at least {:.2f}"),
        ):
            if value < least:
                raise LowQuality(f"the face {fault.format(value, least)}")
        if quality.brightness > self.max_brightness:
            raise LowQuality(
                f"the face is too bright: {quality.brightness:.0f},"
                f" at most {self.max_brightness:.0f} of 255"
            )


def measure(box: Floats, landmarks: Floats, crop: Image) -> Quality:
    """box (4,) and landmarks (5, 2) in pixels of the picture, crop (112, 112, 3)."""
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    size = float(min(box[2] - box[0], box[3] - box[1]))
    sharpness = float(cv2.Laplacian(luma, cv2.CV_32F).var())
    brightness = float(luma.mean())
    frontal = frontality(landmarks)
    light = np.interp(brightness, [_DARK, _DIM, _BRIGHT, _GLARING], [0.0, 1.0, 1.0, 0.0])
    score = min(size / _FULL_SIZE, sharpness / _FULL_SHARPNESS, float(light), frontal, 1.0)
    return Quality(max(score, 0.0), size, sharpness, brightness, frontal)


def frontality(landmarks: Floats) -> float:
    """1 minus the angle away from the camera in right angles. A roll does not count.

    The tip of the nose stands out of the plane of eyes and mouth: a turn moves it aside, a nod up
    or down, by the tangent of the angle.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks.astype(np.float64)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across = (right_eye - left_eye + right_mouth - left_mouth) / 2
    down = mouth - eyes
    # Nose = eyes + along * across + drop * down, solved for (along, drop).
    axes = np.column_stack([across, down])
    if abs(np.linalg.det(axes)) < 1e-6:
        return 0.0  # a profile so full that both eyes fall together
    along, drop = np.linalg.solve(axes, nose - eyes)
    angle = math.atan2(math.hypot(along, drop - _NOSE_DROP), _NOSE_HEIGHT)
    return 1.0 - angle / (math.pi / 2)
