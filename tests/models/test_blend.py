import sys

import pytest
import torch

from models import blend, embedder, export
from scsc.faceresnet import FaceResNet, FaceResNetConfig

TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)


def networks(count: int) -> list[FaceResNet]:
    torch.manual_seed(0)
    return [FaceResNet(TINY).eval() for _ in range(count)]


def test_a_blend_is_the_mean_of_the_weights():
    first, second = networks(2)
    mixed = blend.blend(first, second, 0.25).state_dict()
    ours, theirs = first.state_dict(), second.state_dict()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ours:
        expected = 0.75 * ours[name].double() + 0.25 * theirs[name].double()
        assert torch.allclose(mixed[name].double(), expected, atol=1e-6), name


@pytest.mark.parametrize("share", [0, 1])
def test_its_ends_are_the_networks_themselves(share):
    both = networks(2)
    crops = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(blend.blend(*both, share)(crops), both[share](crops))


def test_networks_of_two_forms_are_refused():
    other = FaceResNet(FaceResNetConfig(**{**vars(TINY), "block": "plain"}))
    with pytest.raises(ValueError, match="one form"):
        blend.blend(*networks(1), other, 0.5)


def test_the_command_writes_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(embedder.CONFIGS, "tiny", TINY)
    first, second = networks(2)
    embedder.save(first, tmp_path / "released.pt")
    torch.save({"settings": {"name": "tiny"}, "average": second.state_dict()}, tmp_path / "run.pt")
    paths = [str(tmp_path / name) for name in ("released.pt", "run.pt", "mean.pt")]
    monkeypatch.setattr(sys, "argv", ["blend", *paths, "--share", "0.4"])
    blend.main()
    assert "mean.pt" in capsys.readouterr().out
    crops = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        expected = blend.blend(first, second, 0.4)(crops)
        assert torch.allclose(export.read(tmp_path / "mean.pt")(crops), expected)


def test_a_share_beyond_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["blend", "a.pt", "b.pt", "c.pt", "--share", "1.5"])
    with pytest.raises(SystemExit):
        blend.main()
    assert "--share 1.5" in capsys.readouterr().err
