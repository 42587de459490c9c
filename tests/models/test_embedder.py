import pytest
import torch

from models import embedder
from scsc.faceresnet import FaceResNet, FaceResNetConfig

TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)


def test_a_saved_network_comes_back_the_same(tmp_path):
    network = FaceResNet(TINY).eval()
    embedder.save(network, tmp_path / "tiny.pt")
    again = embedder.load(tmp_path / "tiny.pt")
    crops = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(network(crops), again(crops))
    assert again.config == TINY


def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path):
    torch.save({"something": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is not a FaceResNet checkpoint"):
        embedder.load(tmp_path / "other.pt")


def test_an_unknown_name_lists_the_known():
    known = "scsc_faceresnet, scsc_narrow_faceresnet, scsc_wide_faceresnet, faceresnet"
    with pytest.raises(LookupError, match=known):
        embedder.config("resnet50")
