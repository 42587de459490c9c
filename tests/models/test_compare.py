import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import compare, contenders, embedder
from models.compare import OUTPUTS, Trial, loss, read_faces, results_table, train
from models.train import Settings
from scsc import FaceResNet, FaceResNetConfig
from tests.models.packs import write_pack

CPU = torch.device("cpu")
TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)

RESULT = {  # of one run
    "tar_at_far_0.01": 0.6, "tar_at_far_0.001": 0.5, "teacher_cosine": 0.4,
    "age_error": 7.0, "sex_accuracy": 0.9,
}  # fmt: skip


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """Five steps of a tiny network on drawn crops; a person's age and sex are its own."""
    monkeypatch.setitem(contenders.NETWORKS, "tiny", lambda dim: FaceResNet(replace(TINY, dim=dim)))
    for name, people, each, seed in (("train-0", 6, 8, 0), ("identify", 3, 4, 1)):
        path = write_pack(tmp_path / f"{name}.npz", people, each, seed)
        arrays = dict(np.load(path))
        arrays["age"] = np.where(arrays["label"] > 0, 10 + 9 * arrays["label"], -1).astype(np.int16)
        arrays["sex"] = np.where(arrays["label"] > 0, arrays["label"] % 2, -1).astype(np.int8)
        np.savez(path, **arrays)
    return Settings(
        name="tiny", data=str(tmp_path), views=40, batch=8, small=32, small_share=1.0,
        warmup=8, matrix_lr=0, compile=False,
    )  # fmt: skip


def test_crops_to_judge_by_are_not_learned_from(settings):
    faces = read_faces(Path(settings.data), 0, 1)
    assert (len(faces.learn.crops), len(faces.judge)) == (44, 4)  # 40 with an age
    assert (faces.judge_age > 0).all()
    assert int((faces.age == -1).sum()) == 8
    learned = {crop.tobytes() for crop in faces.learn.crops}
    assert not learned & {crop.tobytes() for crop in faces.judge}
    np.testing.assert_array_equal(faces.learn.label, np.arange(44))


def test_the_loss_is_nothing_where_all_is_right_and_looks_at_known_crops_only():
    teacher = torch.nn.functional.normalize(torch.randn(6, 256), dim=1)
    age, sex = torch.tensor([35, 55, 15, -1, -1, 75]), torch.tensor([0, 1, 0, -1, -1, 1])
    outputs = torch.cat([teacher * 2, torch.zeros(6, 2)], 1)
    outputs[:, 256] = (age - 35) / 20
    outputs[:, 257] = torch.where(sex == 1, 50.0, -50.0)
    assert float(loss(outputs, teacher, age, sex, 10.0)) == pytest.approx(0, abs=1e-4)
    outputs[3:5, 256:] = 1e3  # of crops whose age and sex nobody knows
    assert float(loss(outputs, teacher, age, sex, 10.0)) == pytest.approx(0, abs=1e-4)
    outputs[0, 256] += 1  # twenty years, of four known crops
    assert float(loss(outputs, teacher, age, sex, 10.0)) == pytest.approx(0.25, abs=1e-4)


def test_a_trial_that_is_cut_and_resumed_ends_at_the_same_numbers(settings, tmp_path):
    faces = read_faces(Path(settings.data), 0, 1)
    whole = Trial(settings, CPU)
    assert whole.go_on(faces, float("inf"), tmp_path / "whole.pt")
    cuts, done = 0, False
    while not done:  # no time at all: each piece is one step
        pieces = Trial.at(tmp_path / "pieces.pt", settings, CPU)
        done = pieces.go_on(faces, 0, tmp_path / "pieces.pt")
        cuts += 1
    assert cuts == 5
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, pieces.network.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(settings, tmp_path):
    trial = Trial(settings, CPU)
    trial.go_on(read_faces(Path(settings.data), 0, 1), 0, tmp_path / "one.pt")
    with pytest.raises(ValueError, match="of other settings"):
        Trial.at(tmp_path / "one.pt", replace(settings, lr=1.0), CPU)


def test_training_learns_people_age_and_sex(settings, tmp_path):
    longer = replace(settings, views=1600, batch=16, lr=5e-3, hard_share=0.3)
    faces = read_faces(Path(settings.data), 0, 1)
    trial = Trial(longer, CPU)
    before = compare.figures(trial.network, faces, 32, CPU)
    assert trial.go_on(faces, float("inf"), tmp_path / "run.pt")
    after = compare.figures(trial.network, faces, 32, CPU)
    assert after["age_error"] < before["age_error"] / 2
    assert after["sex_accuracy"] == 1.0


def test_the_command_trains_all_seeds_goes_on_and_prints_a_table(
    settings, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    words = ["tiny", "--data", settings.data, "--out", str(out), "--seeds", "1", "2"]
    words += ["--views", "16", "--batch", "8", "--small", "32"]
    monkeypatch.setattr(sys, "argv", ["compare", "train", *words, "--minutes", "1e-9"])
    compare.main()
    assert "stopped tiny, seed 1, at view 8" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["compare", "train", *words])
    compare.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("| tiny | 2 | ")
    results = json.loads((out / "results.json").read_text())
    assert list(results) == ["tiny/1", "tiny/2"]
    assert results["tiny/1"] != results["tiny/2"]
    assert not train(["tiny"], [1, 2, 3], replace(settings, views=16), out, 1e-9)


def test_the_table_has_mean_and_spread_over_the_seeds():
    text = results_table({"a/1": RESULT, "b/1": RESULT, "a/2": {**RESULT, "age_error": 9.0}})
    ours, other = text.splitlines()[2:]
    zero = "60.00 ± 0.00 | 50.00 ± 0.00 | 0.4000 ± 0.0000"
    assert ours == f"| a | 2 | {zero} | 8.00 ± 1.41 | 90.0 ± 0.0 |"
    assert other == "| b | 1 | 60.00 | 50.00 | 0.4000 | 7.00 | 90.0 |"


def test_comparisons_of_several_folders_make_one_table(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        compare.write_results(tmp_path / name, {f"{name}/1": RESULT})
    folders = [str(tmp_path / name) for name in ("a", "b")]
    monkeypatch.setattr(sys, "argv", ["compare", "table", "--out", *folders])
    compare.main()
    assert [line[:6] for line in capsys.readouterr().out.splitlines()[2:]] == ["| a | ", "| b | "]


def test_names_of_sets_and_networks_may_be_mixed():
    assert contenders.chosen(["swin_t", "full"])[:2] == ["swin_t", "scsc_resnet50"]
    assert len(contenders.chosen(["mixers"])) == 2 + len(embedder.NEIGHBOURS)
    with pytest.raises(LookupError, match="mixers, hosts, full, ablations, scsc_narrow_faceresnet"):
        contenders.chosen(["transformer"])


@pytest.mark.parametrize("name", contenders.NETWORKS)
def test_every_contender_gives_what_is_judged(name):
    with torch.device("meta"):
        assert contenders.NETWORKS[name](OUTPUTS)(torch.zeros(2, 3, 64, 64)).shape == (2, OUTPUTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own, about its insides
def test_costs_stand_beside_each_other(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare", "cost", "scsc_narrow_faceresnet", "no-gate"])
    compare.main()
    ours, without = (line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:])
    assert ours[:3] == ["| scsc_narrow_faceresnet", "0.866 M", "104.3 M"]
    assert float(without[1].split()[0]) < 0.866
    assert ours[5] == "1.00"


def test_costs_without_times(monkeypatch, capsys):
    monkeypatch.setitem(contenders.NETWORKS, "tiny", lambda dim: FaceResNet(replace(TINY, dim=dim)))
    monkeypatch.setattr(sys, "argv", ["compare", "cost", "tiny", "--rounds", "0"])
    compare.main()
    head, _, tiny = capsys.readouterr().out.splitlines()
    assert head.count("|") == tiny.count("|") == 5
    params = sum(p.numel() for p in contenders.NETWORKS["tiny"](256).parameters())
    assert tiny.startswith(f"| tiny | {params / 1e6:.3f} M | ")
