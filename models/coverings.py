"""What covers a part of a face: glasses, masks and scarves, caps and hair, hands, anything.

For training views. A covering is drawn where the template has the landmarks, in random shapes and
colours: none of them looks quite like a real thing, so that a network learns to do without what
is covered rather than what covers it. Masks and fills are drawn on the host for both makers of
views (models/data.py, models/augment.py).
"""

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 112  # pixels of the crop
COARSE = 4  # a fill is given by so many colours a side, and is smooth between them

Shape = npt.NDArray[np.uint8]  # (112, 112), 255 where covered


def draw(rng: np.random.Generator) -> tuple[Shape, npt.NDArray[np.float32]]:
    """(mask (112, 112) uint8: 255 where covered; fill (4, 4, 3) of 0..255, to be enlarged)."""
    shapes = (_eyes, _eyes, _below, _below, _above, _above, _hand, _box)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    shapes[rng.integers(len(shapes))](mask, rng)
    return mask, _fill(rng)


def cover(crop: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A crop (112, 112, 3) with one covering on it."""
    mask, coarse = draw(rng)
    fill = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    share = mask[:, :, None].astype(np.float32) / 255
    return (crop * (1 - share) + fill * share).round().astype(np.uint8)


def _fill(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Dark, of the colour of some skin, or any; more or less even."""
    kind = rng.integers(3)
    if kind == 0:
        colour = rng.uniform(0, 60, 3)
    elif kind == 1:
        colour = rng.uniform(70, 240) * np.array([1, rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.8)])
    else:
        colour = rng.uniform(0, 255, 3)
    light = rng.normal(0, rng.uniform(0, 30), (COARSE, COARSE, 1))
    tint = rng.normal(0, rng.uniform(0, 12), (COARSE, COARSE, 3))
    return np.clip(colour + light + tint, 0, 255).astype(np.float32)


def _eyes(mask: Shape, rng: np.random.Generator) -> None:
    """Both eyes, by rounded or square glasses, now and then by a bar."""
    height, level = rng.uniform(6, 15), rng.normal(52, 2)
    top, bottom = level - height, level + height
    kind = rng.choice(["bar", "round", "square"], p=[0.25, 0.375, 0.375])
    if kind == "bar":
        _polygon(mask, [(15, top), (97, top), (97, bottom), (15, bottom)], rng)
        return
    width, narrowed = rng.uniform(10, 19), rng.uniform(0.6, 1.0)
    for x in (rng.normal(38, 1.5), rng.normal(74, 1.5)):
        if kind == "square":
            below = width * narrowed
            corners = [(x - width, top), (x + width, top), (x + below, bottom), (x - below, bottom)]
            _polygon(mask, corners, rng)
        else:
            axes = (round(width), round(height))
            cv2.ellipse(mask, (round(x), round(level)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    if rng.random() < 0.7:
        bridge = round(level - rng.uniform(0, 6))
        cv2.line(mask, (38, bridge), (74, bridge), 255, int(rng.integers(1, 5)), cv2.LINE_AA)


def _below(mask: Shape, rng: np.random.Generator) -> None:
    """Mouth and chin, with or without the nose."""
    middle, side = rng.uniform(58, 86), rng.uniform(62, 90)
    left, right = rng.uniform(-10, 26), rng.uniform(86, 122)
    _polygon(mask, [(left, side), (56, middle), (right, side), (right, 130), (left, 130)], rng)


def _above(mask: Shape, rng: np.random.Generator) -> None:
    """Forehead and hair, down to the brows at most, straight or curved, level or aslant."""
    x = np.linspace(-4, 116, 9)
    level, slant, bend = rng.uniform(16, 42), rng.normal(0, 0.08), rng.normal(0, 0.002)
    edge = level + slant * (x - 56) + bend * (x - 56) ** 2
    _polygon(mask, [(-4, -4), *zip(x, edge, strict=True), (116, -4)], rng)


def _hand(mask: Shape, rng: np.random.Generator) -> None:
    """Something longish anywhere, as a hand, a telephone, a microphone, a lock of hair."""
    centre = (int(rng.integers(8, 104)), int(rng.integers(20, 112)))
    axes = (int(rng.integers(8, 20)), int(rng.integers(18, 45)))
    turned = float(rng.uniform(0, 180))
    cv2.ellipse(mask, centre, axes, turned, 0, 360, 255, -1, cv2.LINE_AA)


def _box(mask: Shape, rng: np.random.Generator) -> None:
    """A rectangle of up to a fifth of the picture."""
    height, width = (int(n) for n in rng.integers(SIDE // 8, SIDE * 9 // 20, 2))
    top, left = int(rng.integers(0, SIDE - height)), int(rng.integers(0, SIDE - width))
    mask[top : top + height, left : left + width] = 255


def _polygon(mask: Shape, corners: list[tuple[float, float]], rng: np.random.Generator) -> None:
    """A filled polygon whose corners are moved a little."""
    moved = np.array(corners) + rng.normal(0, 1.0, (len(corners), 2))
    cv2.fillPoly(mask, [moved.round().astype(np.int32)], 255, cv2.LINE_AA)
