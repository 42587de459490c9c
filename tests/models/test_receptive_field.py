import sys

import cv2
import numpy as np
import torch

from models import embedder, receptive_field
from models.receptive_field import fields, width
from scsc import FaceResNet, FaceResNetConfig
from tests.models.packs import write_pack

SMALL = FaceResNetConfig("plain", widths=(8, 8), depths=(1, 1), dim=4)


def test_a_width_is_that_of_the_smallest_square_with_the_share():
    field = np.zeros((112, 112))
    field[56, 56], field[53, 56], field[56, 66] = 0.5, 0.3, 0.2
    assert [width(field, share) for share in (0.5, 0.8, 0.9)] == [1, 7, 21]


def test_a_field_is_what_the_middle_cell_sees():
    torch.manual_seed(0)
    first, second = fields(FaceResNet(SMALL), torch.randn(2, 3, 112, 112))
    for field in (first, second):
        assert field.shape == (112, 112)
        assert np.isclose(field.sum(), 1)
    # By hand: 3 of the stem, 4 of each 3x3 convolution behind it, as all are 2 pixels apart.
    assert (width(first, 1 - 1e-12), width(second, 1 - 1e-12)) == (11, 19)


def test_the_drawing_has_a_row_for_each_network(tmp_path, monkeypatch, capsys):
    scsc, plain = (FaceResNetConfig(kind, (24,) * 4, (1,) * 4, dim=4) for kind in ("scsc", "plain"))
    embedder.save(FaceResNet(scsc), tmp_path / "one.pt")
    embedder.save(FaceResNet(plain), tmp_path / "twin.pt")
    crops = write_pack(tmp_path / "pack.npz", people=2, each=1)
    options = ["--weights", "one.pt", "--beside", "twin.pt", "--crops", str(crops), "--count", "2"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["receptive_field", "fields.png", *options])
    receptive_field.main()
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" [")[0] for row in rows] == [
        "SCSC, trained",
        "SCSC, random weights",
        "plain twin, random weights",
        "twin, trained beside",
    ]
    picture = cv2.imread(str(tmp_path / "fields.png"))
    assert len(picture) == 4 * (224 + 24 + 4 + 24)
