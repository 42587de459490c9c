"""What may lie between a face and the crop of it: poor light, few pixels, a mask.

Each condition is a function of an aligned crop, drawn where the template has the landmarks, so that
embedders can be measured on the same people with and without it. The coverings here are drawn on
purpose in another way than those that training shows (models/coverings.py).
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

Crop = npt.NDArray[np.uint8]  # (112, 112, 3) RGB
Condition = Callable[[Crop], Crop]


def _few_pixels(crop: Crop, side: int) -> Crop:
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), np.uint8)


def _blurred(crop: Crop, sigma: float) -> Crop:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)


def _jpeg(crop: Crop, quality: int) -> Crop:
    encoded = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]


def _dark(crop: Crop, light: float, noise: float) -> Crop:
    """A dark picture, with a sensor's noise."""
    grain = np.random.default_rng(0).normal(0, noise, crop.shape)
    return np.clip(crop * light + grain, 0, 255).round().astype(np.uint8)


def _side_light(crop: Crop, least: float) -> Crop:
    """Light from one side; the other has this much of it."""
    fall = np.linspace(1, least, crop.shape[1])[None, :, None]
    return (crop * fall).round().astype(np.uint8)


def _grey(crop: Crop) -> Crop:
    return np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[:, :, None], 3, 2).astype(np.uint8)


def _laid_off(crop: Crop, degrees: float, pixels: float) -> Crop:
    """As when a detector's landmarks are off."""
    matrix = cv2.getRotationMatrix2D((55.5, 55.5), degrees, 1)
    matrix[:, 2] += np.full(2, pixels)
    return np.asarray(
        cv2.warpAffine(crop, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _sunglasses(crop: Crop) -> Crop:
    image = crop.copy()
    for centre in ((38, 53), (74, 53)):
        cv2.ellipse(image, centre, (15, 11), 0, 0, 360, (22, 20, 24), -1, cv2.LINE_AA)
    cv2.line(image, (50, 50), (62, 50), (22, 20, 24), 3, cv2.LINE_AA)
    for outer, border in ((24, 0), (88, 111)):
        cv2.line(image, (outer, 50), (border, 47), (22, 20, 24), 3, cv2.LINE_AA)
    return image


def _mask(crop: Crop) -> Crop:
    """A surgical mask: from the bridge of the nose to under the chin."""
    image = crop.copy()
    sheet = [(12, 66), (34, 67), (56, 62), (78, 67), (100, 66), (95, 96), (80, 111), (32, 111)]
    outline = np.array([*sheet, (17, 96)], np.int32)
    cv2.fillPoly(image, [outline], (168, 200, 214), cv2.LINE_AA)
    for y in (78, 88, 98):
        cv2.line(image, (17, y), (95, y), (146, 180, 196), 1, cv2.LINE_AA)
    return image


def _cap(crop: Crop) -> Crop:
    """A cap with its brim down to the brows."""
    image = crop.copy()
    image[:26] = (52, 58, 92)
    cv2.ellipse(image, (56, 26), (60, 14), 0, 0, 180, (38, 42, 70), -1, cv2.LINE_AA)
    return image


CONDITIONS: dict[str, Condition] = {
    "as it is": lambda crop: crop,
    "24 pixels wide": partial(_few_pixels, side=24),
    "16 pixels wide": partial(_few_pixels, side=16),
    "blurred, 3 pixels": partial(_blurred, sigma=3.0),
    "JPEG at quality 10": partial(_jpeg, quality=10),
    "dark and noisy": partial(_dark, light=0.2, noise=6.0),
    "a tenth of the light": partial(_dark, light=0.1, noise=0.0),
    "light from one side": partial(_side_light, least=0.1),
    "grey": _grey,
    "laid off, 8 degrees and 4 pixels": partial(_laid_off, degrees=8.0, pixels=4.0),
    "sunglasses": _sunglasses,
    "a mask": _mask,
    "a cap": _cap,
}


def under(condition: str, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Crops (N, 112, 112, 3) under a condition of that name, one of CONDITIONS."""
    change = CONDITIONS[condition]
    return np.stack([change(crop) for crop in crops])
