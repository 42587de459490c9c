"""What a camera sees in little light, made more like the pictures that embedders learn from.

A dark crop is brightened, a noisy one is smoothed first, by as much as its noise asks for; all
others stay as they are, to the last bit. The noise is estimated by the difference of two Laplacians
(Immerkaer, Fast Noise Variance Estimation, 1996), here by the median of its size, which edges
hardly move; what counts is how it stands to the contrast of the picture.
"""

import cv2
import numpy as np
import numpy.typing as npt

Crops = npt.NDArray[np.uint8]  # (N, H, W, 3)

NOISY = 0.06  # noise in contrasts; of crops of celebrities one in two hundred has more
LEAST_BLUR, BLUR_PER_NOISE, MOST_BLUR = 0.5, 2.5, 1.6  # standard deviations in pixels
DARK = 60.0  # mean of the face, 0..255; of crops of celebrities one in sixty is darker
CURVE = 1.5  # the darker a face is, the further beyond DARK: 15 becomes 120 by the most gain
MOST_GAIN = 8.0

_DIFFERENCE = np.array([1, -2, 1], np.float32)  # along rows, then columns
OF_UNIT_NOISE = 6 * 0.6745  # the median size of the difference where the noise is 1
FACE = 0.25, 0.93, 0.18, 0.82  # top, bottom, left, right: without hair and background


def enhanced(crops: Crops) -> Crops:
    """Aligned crops (N, H, W, 3) uint8, RGB or BGR -> the same shape; the argument is unchanged."""
    result = crops
    for i, crop in enumerate(crops):
        noise, light = noise_of(crop), light_of(crop)
        if noise > NOISY or light < DARK:
            if result is crops:
                result = crops.copy()
            result[i] = _enhanced(crop, noise, light)
    return result


def _enhanced(crop: Crops, noise: float, light: float) -> Crops:
    image = crop.astype(np.float32)
    if noise > NOISY:
        sigma = min(MOST_BLUR, LEAST_BLUR + BLUR_PER_NOISE * noise)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    gain = min(MOST_GAIN, max(1.0, DARK / max(light, 1.0)) ** CURVE)
    return np.asarray(np.clip(image * gain, 0, 255).round(), np.uint8)


def noise_of(crop: Crops) -> float:
    """Standard deviation of the noise of a crop (H, W, 3) over that of the crop, both of green."""
    green = np.ascontiguousarray(crop[:, :, 1])
    spread = float(cv2.meanStdDev(green)[1][0, 0])
    if spread == 0:
        return 0.0
    size = cv2.convertScaleAbs(cv2.sepFilter2D(green, cv2.CV_16S, _DIFFERENCE, _DIFFERENCE))
    counts = np.cumsum(np.bincount(size.reshape(-1)))
    median = int(np.searchsorted(counts, counts[-1] / 2))
    return median / OF_UNIT_NOISE / spread


def light_of(crop: Crops) -> float:
    """Mean of the pixels of the face, 0..255."""
    h, w = crop.shape[:2]
    top, bottom, left, right = FACE
    face = crop[int(top * h) : int(bottom * h), int(left * w) : int(right * w)]
    return float(sum(cv2.mean(face)[:3]) / 3)
