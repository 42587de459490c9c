import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import embedder
from models.data import read_packs
from models.held_out import evaluate
from models.precision import fast_dtype
from models.targets import frame
from models.train import Run, Session, Settings, crop_size, learning_rate, train
from scsc.faceresnet import FaceResNetConfig
from tests.models.packs import write_pack

CPU = torch.device("cpu")
TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A run of 5 steps of a tiny network on drawn crops, the last of them at 112 pixels."""
    monkeypatch.setitem(embedder.CONFIGS, "tiny", TINY)
    write_pack(tmp_path / "train-0.npz")
    write_pack(tmp_path / "identify.npz", people=3, each=4, seed=1)
    return Settings(
        name="tiny", data=str(tmp_path), views=40, batch=8, small=32, warmup=8, compile=False
    )


def session(folder: Path, **changes: float) -> Session:
    folder.mkdir(exist_ok=True)
    plain = Session(folder, minutes=0, checkpoint_minutes=60, evaluate_views=10**9, threads=2)
    return replace(plain, **changes)


@pytest.mark.parametrize("losses", [{}, {"margin": 0.1}, {"neighbours": 0.1}, {"still_share": 0.5}])
def test_a_run_that_is_cut_and_resumed_ends_at_the_same_numbers(settings, tmp_path, losses):
    settings = replace(settings, identities=6, **losses)
    whole = Run(settings, CPU)
    assert train(whole, session(tmp_path / "whole"))

    pieces = Run(settings, CPU)
    done, cuts = False, 0
    while not done:  # no minutes at all: each piece is one step
        done = train(pieces, session(tmp_path / "pieces", minutes=1e-9))
        pieces = Run.load(tmp_path / "pieces" / "checkpoint.pt", CPU, {})
        cuts += 1
    assert cuts == 5
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, pieces.average.state_dict()[name]), name
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, pieces.network.state_dict()[name]), name


def test_training_comes_nearer_to_the_teacher(settings, tmp_path):
    write_pack(tmp_path / "identify.npz")  # judged on the patterns that it learns
    quick = replace(settings, views=640, batch=16, small_share=1.0, relation=1.0, ema=0.8)
    train(Run(quick, CPU), session(tmp_path / "run", evaluate_views=160))
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    notes = [json.loads(line) for line in lines]
    cosines = [note["teacher_cosine"] for note in notes if "teacher_cosine" in note]
    assert len(cosines) == 4
    assert cosines[-1] > cosines[0] + 0.2


def test_labels_count_when_a_margin_loss_is_asked_for(settings, tmp_path):
    plain, labelled = Run(settings, CPU), Run(replace(settings, margin=0.1, identities=6), CPU)
    train(plain, session(tmp_path / "plain"))
    train(labelled, session(tmp_path / "labelled"))
    assert not torch.equal(plain.network.linear.weight, labelled.network.linear.weight)
    assert torch.equal(plain.head.centres, Run(settings, CPU).head.centres)


def test_neighbours_count_when_their_loss_is_asked_for(settings, tmp_path):
    plain, asked = Run(settings, CPU), Run(replace(settings, neighbours=0.1), CPU)
    train(plain, session(tmp_path / "plain"))
    train(asked, session(tmp_path / "asked"))
    assert not torch.equal(plain.network.linear.weight, asked.network.linear.weight)


def test_training_and_evaluation_see_their_targets_alike(settings, tmp_path):
    pack = read_packs([tmp_path / "train-0.npz"])
    seen = frame(pack.teacher, 2.0, 0.25)
    run = Run(replace(settings, centre=2.0, whiten=0.25), CPU)
    train(run, session(tmp_path / "run"))
    assert torch.equal(run.bank, torch.from_numpy(seen.see(pack).teacher).to(fast_dtype(CPU)))
    held_out = seen.see(read_packs([tmp_path / "identify.npz"]))
    figures = evaluate(run.average, held_out, 112, CPU)
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert last["teacher_cosine"] == round(figures["teacher_cosine"], 5)


def test_a_run_that_begins_with_weights_of_another_frame_moves_them_at_once(settings, tmp_path):
    taught = Run(replace(settings, views=640, batch=16, small_share=0.0, ema=0.8), CPU)
    train(taught, session(tmp_path / "first"))
    pack = read_packs([tmp_path / "train-0.npz"])
    pack = frame(pack.teacher, 2.0, 0.25).see(pack)
    before = evaluate(taught.average, pack, 112, CPU)["teacher_cosine"]

    run = Run(replace(settings, centre=2.0, whiten=0.25, start="first.pt"), CPU)
    run.begin_with(taught.average)
    train(run, session(tmp_path / "second", minutes=1e-9))  # one step, at a low rate
    assert evaluate(run.average, pack, 112, CPU)["teacher_cosine"] > before + 0.05
    moved = run.average.linear_norm.bias.clone()
    train(run, session(tmp_path / "second", minutes=1e-9))  # another, which moves no more
    torch.testing.assert_close(run.average.linear_norm.bias, moved, atol=0.01, rtol=0)


def test_norms_stand_still_in_the_last_part_of_a_run(settings, tmp_path):
    run = Run(replace(settings, still_share=0.4), CPU)
    train(run, session(tmp_path / "run", minutes=1e-9))
    moving = run.network.norm.running_mean.clone()
    assert moving.abs().max() > 0
    seen = []
    while not train(run, session(tmp_path / "run", minutes=1e-9)):
        seen.append(run.network.norm.running_mean.clone())
    assert [torch.equal(mean, seen[-1]) for mean in (moving, *seen)] == [False, False, True, True]
    assert torch.equal(run.network.norm.running_mean, seen[-1])


def test_a_run_can_begin_with_the_weights_of_another(settings):
    first, second = Run(settings, CPU), Run(replace(settings, seed=2), CPU)
    second.begin_with(first.average)
    for name, tensor in first.average.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], tensor), name
        assert torch.equal(second.average.state_dict()[name], tensor), name


def test_a_wider_run_can_begin_with_the_weights_of_a_narrower(settings, monkeypatch):
    wider = replace(TINY, branch_widths=(12, 12, 12, 16))
    monkeypatch.setitem(embedder.CONFIGS, "wider", wider)
    narrow, run = Run(settings, CPU), Run(replace(settings, name="wider", seed=2), CPU)
    run.begin_with(narrow.average)
    assert run.network.config == run.average.config == wider
    x = torch.rand(2, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(run.average(x), narrow.average(x), rtol=1e-3, atol=1e-4)


def test_the_norms_of_a_deeper_run_begin_with_the_statistics_of_the_crops(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setitem(embedder.CONFIGS, "deeper", replace(TINY, depths=(1, 1, 2, 1)))
    start = tmp_path / "shallow.pt"
    embedder.save(Run(settings, CPU).average, start)
    run = Run(replace(settings, name="deeper", start=str(start), still_share=1), CPU)
    run.begin_with(embedder.load(start))
    train(run, session(tmp_path / "run", minutes=1e-9))
    for network in (run.network, run.average):
        body = network.stages[2][1].body
        assert body.reduce.bn.running_mean.any()
        assert body.branch_norm.running_mean.any()


def test_the_rate_warms_up_and_falls_to_its_end():
    settings = Settings(views=1000, batch=10, warmup=100, final_lr=0.01)
    rates = [learning_rate(settings, views) for views in range(0, 1001, 10)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[-1] == pytest.approx(0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_end_of_a_run_can_be_moved_while_the_rate_stands_still():
    settings = Settings(views=1000, batch=10, warmup=100, final_lr=0.01, decay=0.4)
    later = replace(settings, views=2000)
    assert [learning_rate(settings, views) for views in (100, 300, 600)] == [1.0, 1.0, 1.0]
    assert [learning_rate(later, views) for views in (100, 300, 600)] == [1.0, 1.0, 1.0]
    assert 0.01 < learning_rate(settings, 900) < learning_rate(settings, 700) < 1
    assert learning_rate(settings, 1000) == pytest.approx(0.01)


def test_the_last_part_of_a_run_is_at_full_size():
    settings = Settings(views=1000, small=64, small_share=0.8)
    assert [crop_size(settings, views) for views in (0, 799, 800, 999)] == [64, 64, 112, 112]
