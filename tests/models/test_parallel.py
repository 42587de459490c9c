import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.data import read_packs
from models.losses import distillation
from models.parallel import Group
from models.precision import autocast
from models.train import Run, Settings, learning_rate
from models.views import host_views
from tests.models.packs import write_pack

REPOSITORY = Path(__file__).parents[2]
NAME = "scsc_narrow_faceresnet"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_pack(folder / "train-0.npz")
    write_pack(folder / "identify.npz", people=3, each=4, seed=1)
    return folder


def two_processes(data: Path, out: Path, *flags: str) -> str:
    """What a run of batches of 8 at 32 pixels, 4 of them in each process, prints."""
    small = "--batch 8 --small 32 --small-share 1 --warmup 0 --threads 1"
    paths = ["--data", str(data), "--out", str(out)]
    return torchrun("-m", "--", "models.train", "--name", NAME, *small.split(), *flags, *paths)


def torchrun(*command: str) -> str:
    """What two processes of a script or a module print."""
    start = "-m torch.distributed.run --standalone --nproc-per-node 2"
    done = subprocess.run(
        [sys.executable, *start.split(), *command],
        cwd=REPOSITORY,
        # As this one runs, by the fixture `one_thread`: sums split otherwise round otherwise, and
        # the first step of AdamW and Muon turns the rounding of a small gradient into a full
        # change of its weight.
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def weights(out: Path) -> dict[str, torch.Tensor]:
    content = torch.load(out / "checkpoint.pt", weights_only=True)
    tensors: dict[str, torch.Tensor] = content["network"]
    return tensors


def one_step_by_hand(data: Path) -> dict[str, torch.Tensor]:
    """Each half of the batch through the same network, then the mean of what they found."""
    settings = Settings(
        name=NAME, data=str(data), views=8, batch=8, small=32, small_share=1, warmup=0
    )
    run, statistics = Run(settings, torch.device("cpu")), []
    pack = read_packs([data / "train-0.npz"])
    halves = host_views(pack, iter([(0, 32), (4, 32)]), 4, settings.seed, 1.0, 1)
    before = copy.deepcopy(run.network.state_dict())
    for half in halves:
        run.network.load_state_dict(before)  # the first half's batch statistics
        with autocast(run.device):
            embedding = run.network(half.pixels)
        distillation(embedding, half.teacher, settings.relation)[1].backward()
        statistics.append({n: b.clone() for n, b in run.network.named_buffers() if "running" in n})
    for param in run.network.parameters():
        assert param.grad is not None
        param.grad /= 2
    for optimizer in run.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * learning_rate(settings, 0)
        optimizer.step()
    means = {name: (statistics[0][name] + statistics[1][name]) / 2 for name in statistics[0]}
    return {**run.network.state_dict(), **means}


def test_two_processes_take_the_step_of_the_mean_gradient(data, tmp_path):
    printed = two_processes(data, tmp_path / "out", "--views", "8")
    assert printed.splitlines()[-1] == "done"
    evaluations = [json.loads(line) for line in printed.splitlines() if "teacher_cosine" in line]
    assert [figures["views"] for figures in evaluations] == [8], "one of them writes"
    assert (tmp_path / "out" / f"{NAME}.pt").exists()
    ours = weights(tmp_path / "out")
    for name, tensor in one_step_by_hand(data).items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_two_processes_go_on_to_the_same_numbers(data, tmp_path):
    two_processes(data, tmp_path / "whole", "--views", "16")
    cut = two_processes(data, tmp_path / "cut", "--views", "16", "--minutes", "1e-9")
    assert "stopped at view 8" in cut
    two_processes(data, tmp_path / "cut")
    whole, pieces = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    for name, tensor in whole.items():
        assert torch.equal(tensor, pieces[name]), name


THREADS_LEFT = """
from pathlib import Path
import torch
from models.parallel import process_group

def threads():
    return {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}

with process_group() as group:
    layer = torch.nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    group.mean_([param.grad for param in layer.parameters()])
    torch.optim.AdamW(layer.parameters()).step()
    assert any("gloo" in name for name in threads()), threads()
print("left:", [name for name in threads() if "gloo" in name])
"""


def test_a_group_leaves_no_thread_behind(tmp_path):
    # One that still runs while the interpreter is torn down can abort its process, and torchrun
    # then ends the others, wherever they are.
    script = tmp_path / "threads_left.py"
    script.write_text(THREADS_LEFT)
    printed = torchrun(str(script))
    assert printed.count("left: []") == 2, printed


def test_a_batch_that_does_not_divide_among_the_processes_is_refused():
    assert Group().share(7) == 7
    assert Group(1, 2).share(8) == 4
    with pytest.raises(ValueError, match="a batch of 7 does not divide among 2 processes"):
        Group(0, 2).share(7)
