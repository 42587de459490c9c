import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.data import Pack, read_packs, unit
from models.targets import Frame, frame, meet
from scsc import FaceResNet, FaceResNetConfig
from tests.models.packs import write_pack
from tests.scsc.networks import FACE, trained


@pytest.fixture
def targets() -> np.ndarray:
    """(500, 16) of unit length, about a mean, in directions of uneven spread."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(500, 16)) * np.geomspace(0.3, 3, 16) + 1
    return unit(spread).astype(np.float32)


def pack_of(targets: np.ndarray) -> Pack:
    return Pack(np.zeros((len(targets), 112, 112, 3), np.uint8), targets, np.zeros(len(targets)))


def test_targets_that_nothing_moves_stay_as_they_were_read(tmp_path):
    pack = read_packs([write_pack(tmp_path / "train-0.npz")])
    assert frame(pack.teacher, 0, 0).see(pack) is pack


def test_targets_seen_from_beyond_their_mean_point_away_from_there(targets):
    pack = pack_of(targets)
    seen = frame(targets, 2, 0).see(pack)
    assert np.allclose(seen.teacher, unit(targets - 2 * targets.mean(0)), atol=1e-6)
    assert seen.crops is pack.crops


def test_whitening_evens_the_directions_the_more_it_is_asked_to(targets):
    def spread(whiten: float) -> float:
        """Of the largest variance in the smallest, over all directions."""
        seen = frame(targets, 1.5, whiten)
        variances = np.linalg.eigvalsh(np.cov((unit(targets - seen.origin) @ seen.whitening).T))
        return variances.max() / variances.min()

    assert spread(1) == pytest.approx(1, abs=1e-3)
    assert spread(0) > 1.5 * spread(0.25) > 2 * spread(0.5) > 2 * spread(1)


def test_whitened_targets_are_of_unit_length_and_keep_their_mean_direction_out(targets):
    seen = frame(targets, 1, 0.25).see(pack_of(targets)).teacher
    assert np.allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(seen.mean(0)) < 0.1 < np.linalg.norm(targets.mean(0))


def test_directions_without_any_spread_cannot_be_evened(targets):
    flat = targets.copy()
    flat[:, 0] = 0
    with pytest.raises(ValueError, match="500 targets leave directions that whiten=1"):
        frame(unit(flat), 0, 1)
    frame(unit(flat), 0, 0.9)


@pytest.fixture
def network() -> FaceResNet:
    return trained(FaceResNet(FaceResNetConfig(groups=2, **FACE)))


CROPS = torch.rand(24, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1


def lies(network: FaceResNet) -> tuple[torch.Tensor, torch.Tensor, Frame]:
    """Embeddings of CROPS, the targets that they become in a frame, and that frame."""
    with torch.no_grad():
        embeddings = network(CROPS)
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    whitening = (turn * np.geomspace(3, 1 / 3, 16)) @ turn.T
    origin = 0.1 * rng.normal(size=16)
    seen = Frame(origin.astype(np.float32), whitening.astype(np.float32))
    targets = seen.see(pack_of(F.normalize(embeddings, dim=1).numpy())).teacher
    return embeddings, torch.from_numpy(targets), seen


def test_weights_of_another_frame_come_to_lie_as_the_targets_do(network):
    embeddings, targets, seen = lies(network)
    size = network.linear.weight.norm()
    whitening = torch.from_numpy(seen.whitening)
    meet(network, embeddings, targets, whitening)
    with torch.no_grad():
        moved = network(CROPS)
    # The same for all: a turn, and a shift.
    shift = (moved - embeddings @ whitening).mean(0)
    torch.testing.assert_close(moved, embeddings @ whitening + shift, rtol=1e-3, atol=1e-3)
    before = F.cosine_similarity(embeddings, targets).mean()
    assert F.cosine_similarity(moved, targets).mean() > 0.98 > before + 0.05
    torch.testing.assert_close(network.linear.weight.norm(), size)


def test_a_moved_network_learns_from_what_it_gives(network):
    """With norms of each batch's statistics it gives what it does with those that it was given."""
    embeddings, targets, seen = lies(network)
    meet(network, embeddings, targets, torch.from_numpy(seen.whitening))
    with torch.no_grad():
        still = network(CROPS)
        network.linear_norm.train()
        torch.testing.assert_close(network(CROPS).var(0), still.var(0), rtol=0.1, atol=1e-3)


def test_weights_that_know_the_frame_are_not_turned_again(network):
    embeddings, targets, seen = lies(network)
    whitening = torch.from_numpy(seen.whitening)
    meet(network, embeddings, targets, whitening)
    weight = copy.deepcopy(network.linear.weight)
    with torch.no_grad():
        meet(network, network(CROPS), targets, whitening)
    assert torch.equal(network.linear.weight, weight)
