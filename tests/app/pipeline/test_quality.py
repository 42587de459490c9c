from dataclasses import replace

import cv2
import numpy as np
import pytest

from app.entities import Quality
from app.errors import LowQuality
from app.pipeline.align import TEMPLATE
from app.pipeline.quality import QualityRules, frontality, measure
from tests.doubles import face, picture

GOOD = Quality(score=0.8, size=100, sharpness=300, brightness=120, frontal=0.8)


def test_the_template_looks_straight_ahead_at_any_roll_and_size():
    assert frontality(TEMPLATE) > 0.9
    angle = np.radians(70)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert frontality((TEMPLATE @ turn.T * 4).astype(np.float32)) > 0.9


def test_turning_to_either_side_and_nodding_lower_it():
    values = []
    for shift in (0, 6, 12, 18, 24):
        left, right = TEMPLATE.copy(), TEMPLATE.copy()
        left[2, 0] -= shift
        right[2, 0] += shift
        assert frontality(left) == pytest.approx(frontality(right), abs=0.05)
        values.append(frontality(right))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.4
    nodding = TEMPLATE.copy()
    nodding[2, 1] += 12
    assert frontality(nodding) < 0.7


def test_a_full_profile_is_zero():
    profile = TEMPLATE.copy()
    profile[[1, 4]] = profile[[0, 3]]
    assert frontality(profile) == 0.0


def test_measures_are_of_the_crop_and_the_box():
    crop = picture(112, 112)
    quality = measure(np.array([10, 10, 70, 90], np.float32), TEMPLATE, crop)
    assert quality.size == 60
    assert quality.brightness == pytest.approx(127, abs=6)
    assert quality.score == pytest.approx(60 / 112)
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 4), np.uint8)
    assert measure(np.array([0, 0, 112, 112], np.float32), TEMPLATE, blurred).sharpness < 15
    black = measure(np.array([0, 0, 112, 112], np.float32), TEMPLATE, np.zeros_like(crop))
    assert (black.brightness, black.score) == (0, 0)


def test_a_good_face_passes():
    QualityRules().check(replace(face(), quality=GOOD))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("size", 20, "too small: 20 pixels, at least 32"),
        ("sharpness", 3, "blurred: sharpness 3, at least 15"),
        ("brightness", 9, "too dark: 9, at least 25"),
        ("brightness", 250, "too bright: 250, at most 240"),
        ("frontal", 0.05, r"turned away: frontal 0.05, at least 0.15"),
    ],
)
def test_the_failing_part_is_named_with_its_number(part, value, message):
    poor = replace(face(), quality=replace(GOOD, **{part: value}))
    with pytest.raises(LowQuality, match=message):
        QualityRules().check(poor)


def test_a_doubtful_detection_is_low_quality():
    with pytest.raises(LowQuality, match=r"score 0\.40, at least 0\.50"):
        QualityRules().check(replace(face(score=0.4), quality=GOOD))
    QualityRules(min_score=0.3).check(replace(face(score=0.4), quality=GOOD))
