"""Networks trained beside each other: the same views, the same recipe, several seeds.

    python -m models.compare cost mixers                      # what they cost, no training
    python -m models.compare train hosts --seeds 1 2 3 --views 200000 --out runs/hosts
    python -m models.compare table --out runs/hosts

Sets of networks: models/contenders.py. Every network has 258 outputs: an embedding that is
distilled from the teacher's, an age and a sex. Judged on people and crops that it never saw:
identify.npz, and one in ten of the crops whose age is known. One optimizer, AdamW, for all
parameters of all, so that no network is favoured by its shapes.

It is made to be cut into pieces: seeds go round the networks, every run has a checkpoint, finished
runs stand in OUT/results.json, and the same call goes on where the last one stopped.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from models.contenders import EXCHANGED, NETWORKS, SETS, chosen
from models.data import Pack, read_packs
from models.held_out import evaluate
from models.losses import distillation
from models.optim import make_optimizers
from models.precision import autocast
from models.train import Settings, crop_size, learning_rate
from models.views import Views, device_views, host_views, to_input
from scsc import bench, cost, fuse

DIM = 256  # of the teacher's embedding
OUTPUTS = DIM + 2  # embedding, age, sex
AGE_MEAN, AGE_SCALE = 35.0, 20.0  # years: an age of 35 is output 0, one of 55 is 1
FLAGS = ("data", "views", "batch", "small", "small_share", "hard_share", "lr", "warmup", "limit")
HELD_OUT = 10  # one in so many crops with an age is for judging

# ------------------------------------------------------------------------------------- the data


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops to learn from and crops to judge by. A pack's label is here the crop's own number."""

    learn: Pack
    people: Pack  # identify.npz, with its true labels
    judge: npt.NDArray[np.uint8]  # (M, 112, 112, 3)
    age: torch.Tensor  # (n,) of `learn`, in years; -1 where unknown
    sex: torch.Tensor  # (n,) 0 or 1; -1 where unknown
    judge_age: npt.NDArray[np.int64]  # (M,)
    judge_sex: npt.NDArray[np.int64]  # (M,)


def read_faces(folder: Path, limit: int, threads: int) -> Faces:
    """All packs of the folder, `limit` crops of each (0: all), split as said at the top."""
    paths = sorted(folder.glob("train-*.npz"))
    pack = read_packs(paths, limit or None, threads)
    annotations: dict[str, list[Any]] = {"age": [], "sex": []}
    for path in paths:
        with np.load(path) as arrays:
            for name, parts in annotations.items():
                parts.append(arrays[name][: limit or None].astype(np.int64))
    age, sex = (np.concatenate(parts) for parts in annotations.values())
    aged = np.flatnonzero(age >= 0)
    held = np.zeros(len(age), bool)
    held[aged[::HELD_OUT]] = True
    crops, teacher = pack.crops[~held], pack.teacher[~held]
    return Faces(
        learn=Pack(crops, teacher, np.arange(len(crops), dtype=np.int32)),
        people=read_packs([folder / "identify.npz"], limit or None, threads),
        judge=pack.crops[held],
        age=torch.from_numpy(age[~held]),
        sex=torch.from_numpy(sex[~held]),
        judge_age=age[held],
        judge_sex=sex[held],
    )


# -------------------------------------------------------------------------------- loss and figures


def loss(
    outputs: torch.Tensor,
    teacher: torch.Tensor,
    age: torch.Tensor,
    sex: torch.Tensor,
    relation: float,
) -> torch.Tensor:
    """Distillation, plus the mean absolute error of the age and the cross-entropy of the sex.

    outputs: (B, 258). age, sex: (B,); crops whose annotation is -1 do not count.
    """
    _, total = distillation(outputs[:, :DIM], teacher, relation)
    age_error = (outputs[:, DIM].float() - (age - AGE_MEAN) / AGE_SCALE).abs()
    sex_error = F.binary_cross_entropy_with_logits(
        outputs[:, DIM + 1].float(), sex.clamp(min=0).float(), reduction="none"
    )
    for error, known in ((age_error, age >= 0), (sex_error, sex >= 0)):
        total = total + (error * known).sum() / known.sum().clamp(min=1)
    return total


class Embedding(nn.Module):
    """The part of the outputs that stands for the person."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.network(x)
        return outputs[:, :DIM]


@torch.no_grad()
def figures(network: nn.Module, faces: Faces, size: int, device: torch.device) -> dict[str, float]:
    """Of a trained network: people told apart, error of the age in years, share of right sexes."""
    network.eval()
    outputs = []
    for i in range(0, len(faces.judge), 250):
        crops = torch.from_numpy(faces.judge[i : i + 250]).to(device)
        x = to_input(crops.permute(0, 3, 1, 2))
        x = F.interpolate(x, (size, size), mode="area") if size != 112 else x
        outputs.append(network(x)[:, DIM:].float().cpu().numpy())
    age, sex = np.concatenate(outputs).T
    known = faces.judge_sex >= 0
    return {
        **evaluate(Embedding(network), faces.people, size, device),
        "age_error": float(np.abs(age * AGE_SCALE + AGE_MEAN - faces.judge_age).mean()),
        "sex_accuracy": float(((sex > 0) == faces.judge_sex)[known].mean()),
    }


# --------------------------------------------------------------------------------------- one run


class Trial:
    """One network with one seed, on its way."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, device
        network = NETWORKS[settings.name](OUTPUTS).to(device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        (self.optimizer,) = make_optimizers(self.network, settings.lr, 0, settings.weight_decay)
        self.views = 0
        self.seconds = 0.0

    def go_on(self, faces: Faces, until: float, path: Path) -> bool:
        """Train to the end or to the time `until`, then write a checkpoint. True at the end."""
        started = time.monotonic()
        torch.compiler.reset()  # what was compiled for other networks counts against this one's
        forward = torch.compile(self.network) if self.settings.compile else self.network
        age, sex = faces.age.to(self.device), faces.sex.to(self.device)
        self.network.train()
        for views in self._views(faces.learn):
            rate = learning_rate(self.settings, self.views)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
            with autocast(self.device):
                outputs = forward(views.pixels.to(self.device))
            teacher, row = views.teacher.to(self.device), views.label.to(self.device)
            loss(outputs, teacher, age[row], sex[row], self.settings.relation).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.views += len(row)
            if time.monotonic() > until:
                break
        self.seconds += time.monotonic() - started
        self._save(path)
        return self.views >= self.settings.views

    def _views(self, pack: Pack) -> Iterator[Views]:
        s = self.settings
        batches = ((first, crop_size(s, first)) for first in range(self.views, s.views, s.batch))
        if self.device.type == "cpu":
            return host_views(pack, batches, s.batch, s.seed, s.hard_share)
        return device_views(pack, batches, s.batch, s.seed, s.hard_share, self.device)

    def _save(self, path: Path) -> None:
        """Write it whole or not at all."""
        content = {
            "settings": asdict(self.settings),
            "views": self.views,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(content, path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)

    @staticmethod
    def at(path: Path, settings: Settings, device: torch.device) -> "Trial":
        """The trial of the checkpoint, or a new one where there is none.

        Raises ValueError when the checkpoint is of other settings.
        """
        trial = Trial(settings, device)
        if path.exists():
            content = torch.load(path, map_location="cpu", weights_only=True)
            if content["settings"] != asdict(settings):
                raise ValueError(f"{path} is of other settings; give another folder to --out")
            trial.network.load_state_dict(content["network"])
            trial.optimizer.load_state_dict(content["optimizer"])
            trial.views, trial.seconds = content["views"], content["seconds"]
        return trial


def train(
    names: list[str], seeds: list[int], settings: Settings, out: Path, minutes: float
) -> bool:
    """Train what is not yet in OUT/results.json. Returns whether all of it is."""
    until = time.monotonic() + minutes * 60 if minutes else float("inf")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    faces = read_faces(Path(settings.data), settings.limit, os.cpu_count() or 2)
    for seed in seeds:
        for name in names:
            results = read_results(out)
            if f"{name}/{seed}" in results:
                continue
            path = out / f"{name}-{seed}.pt"
            trial = Trial.at(path, replace(settings, name=name, seed=seed), device)
            if not trial.go_on(faces, until, path):
                print(f"stopped {name}, seed {seed}, at view {trial.views}; call again to go on")
                return False
            size = crop_size(settings, settings.views - 1)
            result: dict[str, Any] = dict(figures(trial.network, faces, size, device))
            result |= {"views": trial.views, "seconds": trial.seconds, "device": device.type}
            print(name, seed, json.dumps(result), flush=True)
            write_results(out, {**results, f"{name}/{seed}": result})
    return True


# ------------------------------------------------------------------------------------ the tables


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """The figures of the runs that are done, by `network/seed`."""
    path = out / "results.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write_results(out: Path, results: dict[str, dict[str, Any]]) -> None:
    path = out / "results.partial"
    path.write_text(json.dumps(results, indent=1))
    os.replace(path, out / "results.json")


def results_table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: mean and, of several seeds, standard deviation, in the order of training."""
    columns = {
        "TAR at FAR 1e-2, %": ("tar_at_far_0.01", 100, 2),
        "TAR at FAR 1e-3, %": ("tar_at_far_0.001", 100, 2),
        "teacher cosine": ("teacher_cosine", 1, 4),
        "age error, years": ("age_error", 1, 2),
        "sex, %": ("sex_accuracy", 100, 1),
    }
    lines = [f"| network | seeds | {' | '.join(columns)} |", "| --- " * (2 + len(columns)) + "|"]
    for name in dict.fromkeys(key.rpartition("/")[0] for key in results):
        runs = [run for key, run in results.items() if key.rpartition("/")[0] == name]
        cells = []
        for figure, scale, digits in columns.values():
            values = [run[figure] * scale for run in runs]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cost_table(names: list[str], threads: int, rounds: int) -> str:
    """Markdown: parameters, FLOPs, memory of training, and with `rounds` the time of a crop.

    Times are of the fused form in ONNX Runtime; all take turns, the ratios are to the first.
    """
    example = torch.zeros(1, 3, 112, 112)
    head, lines = "| network | parameters | FLOPs | training MiB per crop |", []
    for name in names:
        network = _network(name)
        counts = (
            f"{cost.parameters(network) / 1e6:.3f} M | {cost.flops(network, example) / 1e6:.1f} M"
        )
        memory = cost.training_bytes(network, example) / 2**20
        lines.append(f"| {name} | {counts} | {memory:.1f} |")
    if rounds:
        head += " wall ms | ratio | CPU ratio |"
        times = _times(names, threads, rounds)
        for i, t in enumerate(times):
            ratios = f"{t.wall / times[0].wall:.2f} | {t.cpu / times[0].cpu:.2f}"
            lines[i] += f" {t.wall:.2f} | {ratios} |"
    return "\n".join([head, "| --- " * (head.count("|") - 1) + "|", *lines])


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name](DIM)


def _times(names: list[str], threads: int, rounds: int) -> list[bench.Timing]:
    with tempfile.TemporaryDirectory() as folder:
        subjects = []
        for name in names:
            form = _network(name) if name in EXCHANGED else fuse(_network(name))
            subjects.append(bench.Subject(name, 112, file=Path(folder) / f"{name}.onnx"))
            bench.export_onnx(form, 112, Path(folder) / f"{name}.onnx")
        return bench.timings(subjects, 1, threads, rounds)


# ----------------------------------------------------------------------------------- the command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    costs = commands.add_parser("cost", help="parameters, FLOPs, time, memory")
    trains = commands.add_parser("train", help="train, or go on")
    tables = commands.add_parser("table", help="the results so far")
    for command in (costs, trains):
        words = f"networks, or sets of them: {', '.join(SETS)}"
        command.add_argument("networks", nargs="+", help=words)
    trains.add_argument("--out", type=Path, required=True, help="folder of the comparison")
    tables.add_argument("--out", type=Path, nargs="+", required=True, help="folders of comparisons")
    costs.add_argument("--threads", type=int, default=2)
    costs.add_argument("--rounds", type=int, default=21, help="of timing; 0: no times")
    trains.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    trains.add_argument("--minutes", type=float, default=0, help="stop after so many; 0: when done")
    defaults = Settings(views=200_000, batch=64, small_share=1.0, lr=3e-3)
    for name in FLAGS:
        value = getattr(defaults, name)
        flag = f"--{name.replace('_', '-')}"
        trains.add_argument(flag, type=type(value), default=value, help=f"default {value}")
    trains.add_argument("--compile", action="store_true", help="worth it on a GPU")
    given = vars(parser.parse_args())
    match given.pop("command"):
        case "cost":
            print(cost_table(chosen(given["networks"]), given["threads"], given["rounds"]))
        case "train":
            names, out = chosen(given.pop("networks")), given.pop("out")
            seeds, minutes = given.pop("seeds"), given.pop("minutes")
            settings = replace(defaults, matrix_lr=0.0, **given)
            if train(names, seeds, settings, out, minutes):
                print(results_table(read_results(out)))
        case "table":
            folders = [read_results(out) for out in given["out"]]
            print(results_table({key: run for results in folders for key, run in results.items()}))


if __name__ == "__main__":
    main()
