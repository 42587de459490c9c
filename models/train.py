"""Train a FaceResNet on packs of aligned crops, by distilling a teacher's embeddings.

    python -m models.train --name scsc_faceresnet --out runs/scsc --views 600000
    python -m models.train --out runs/scsc --minutes 30        # goes on where it stopped

One script for CPU cores (a process for each by `torchrun`, see models/parallel.py) and for one GPU,
in bfloat16 where the device has it. It is made to be cut into pieces: every few minutes, at
`--minutes` and on Ctrl-C it writes OUT/checkpoint.pt, from which the next call goes on to the same
numbers: everything random is a function of the seed and the number of the view. It needs torch,
NumPy and OpenCV, no more.
"""

import argparse
import copy
import itertools
import json
import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import embedder
from models.data import Pack, read_packs
from models.heads import MarginHead
from models.held_out import embed, evaluate
from models.losses import distillation, neighbourhood
from models.memory import keep_freed_memory
from models.optim import make_optimizers
from models.parallel import ALONE, Group, process_group
from models.precision import autocast, fast_dtype
from models.targets import Frame, frame, meet
from models.views import Views, device_views, host_views, to_input
from scsc.faceresnet import FaceResNet
from scsc.grow import grow, meet_inputs
from scsc.layers import still_norms

# ------------------------------------------------------------------------------------ settings


@dataclass(frozen=True)
class Settings:
    """What makes a run. A checkpoint carries them; a resumed run keeps those not given anew."""

    name: str = "scsc_faceresnet"  # one of models.embedder.CONFIGS
    data: str = "../shared/data"  # folder of train-*.npz and identify.npz
    start: str = ""  # a released checkpoint, of this or a narrower form; else random weights
    views: int = 600_000  # augmented crops in the whole run; the schedules span them
    batch: int = 128  # crops of one update, over all processes
    small: int = 64  # pixels; a crop's side in the first part of the run, which is 3 times faster
    small_share: float = 0.8  # of the views; the rest is at 112
    lr: float = 2e-3  # AdamW: depthwise kernels, stem, norms
    matrix_lr: float = 0.02  # Muon: 1x1 convolutions and the head; 0 leaves all to AdamW
    weight_decay: float = 0.01
    warmup: int = 10_000  # views
    decay: float = 1.0  # share of the views, at the end, over which the rate falls by a cosine
    final_lr: float = 0.01  # of the peak, where the cosine ends
    still_share: float = 0.0  # of the views, the last ones, with norms that stand still: faster
    hard_share: float = 1.0  # of the views get every augmentation, the rest are moved and mirrored
    centre: float = 0.0  # times the mean target is taken from every target; see docs/training.md
    whiten: float = 0.0  # 0 to 1: how far the directions of the targets are made even; see there
    relation: float = 10.0  # weight of the pairwise-relation loss
    neighbours: float = 0.0  # weight of the loss on each crop's neighbours among all targets
    margin: float = 0.0  # weight of the margin loss on identities; 0: labels are not used
    identities: int = 2845  # in the packs' labels
    ema: float = 0.998  # decay per step of the averaged weights, which are what is released
    seed: int = 1
    limit: int = 0  # crops per pack, 0 for all; for short tries
    compile: bool = False  # by torch.compile, which takes minutes on a CPU


@dataclass(frozen=True)
class Session:
    """What may differ between the pieces of one run."""

    out: Path
    minutes: float  # stop after so many; 0: when the run is done
    checkpoint_minutes: float
    evaluate_views: int
    threads: int


# ------------------------------------------------------------------------------------- schedule


def learning_rate(settings: Settings, views: int) -> float:
    """Factor on the peak rate after so many views: linear warm-up, plateau, then a cosine.

    With `decay` below 1 the end of a run can be moved while it is on its plateau (warmup, stable,
    decay; arXiv 2404.06395), which a cosine over the whole of it does not allow.
    """
    if views < settings.warmup:
        return (views + settings.batch) / (settings.warmup + settings.batch)
    falls_from = max(settings.warmup, round((1 - settings.decay) * settings.views))
    progress = (views - falls_from) / max(1, settings.views - falls_from)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    return settings.final_lr + (1 - settings.final_lr) * cosine


def crop_size(settings: Settings, views: int) -> int:
    return settings.small if views < settings.small_share * settings.views else 112


# --------------------------------------------------------------------------------------- the run


class Run:
    """Network, averaged network, optimizers and the number of views seen: what is saved."""

    def __init__(self, settings: Settings, device: torch.device, group: Group = ALONE) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.group = group
        self.device = device
        self.network = FaceResNet(embedder.config(settings.name)).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizers = make_optimizers(
            self.network, settings.lr, settings.matrix_lr, settings.weight_decay
        )
        self.head = MarginHead(self.network.config.dim, settings.identities).to(device)
        if settings.margin > 0:
            self.optimizers += make_optimizers(self.head, settings.lr, 0, settings.weight_decay)
        self.bank = torch.empty(0)  # (N, D) in the fast dtype, all targets; the loop fills it
        self.views = 0
        compiled = torch.compile(self.network) if settings.compile else self.network
        self.forward: nn.Module = compiled  # type: ignore[assignment]

    def begin_with(self, network: FaceResNet) -> None:
        """Raises ValueError when the run's network cannot grow from this one."""
        if network.config != self.network.config:
            network = grow(network, self.network.config)
        for mine in (self.network, self.average):
            mine.load_state_dict(network.state_dict())

    def meet_inputs(self, pack: Pack) -> None:
        """Let the norms of grown blocks begin with the statistics of 500 crops."""
        some = slice(None, None, max(1, len(pack.crops) // 500))
        crops = to_input(torch.from_numpy(pack.crops[some]).permute(0, 3, 1, 2))
        meet_inputs(self.average, crops.to(self.device))
        self.network.load_state_dict(self.average.state_dict())

    def meet_targets(self, pack: Pack, seen: Frame) -> None:
        """Let weights that learned targets seen otherwise begin where these lie, by 2,000 crops."""
        some = slice(None, None, max(1, len(pack.crops) // 2000))
        embeddings = embed(self.average, pack.crops[some], 112, self.device)
        targets = torch.from_numpy(pack.teacher[some])
        meet(self.average, embeddings, targets, torch.from_numpy(seen.whitening))
        self.group.mean_(list(_tensors(self.average)))
        self.network.load_state_dict(self.average.state_dict())

    def step(self, views: Views) -> tuple[torch.Tensor, torch.Tensor]:
        """One update. Returns the cosine loss and the total, detached, still on the device."""
        settings = self.settings
        rate = learning_rate(settings, self.views)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
        if self.views >= (1 - settings.still_share) * settings.views:
            still_norms(self.network)
        with autocast(self.device):
            embedding = self.forward(views.pixels)
        cosine, loss = distillation(embedding, views.teacher, settings.relation)
        if settings.neighbours > 0:
            loss = loss + settings.neighbours * neighbourhood(embedding, views.teacher, self.bank)
        if settings.margin > 0:
            loss = loss + settings.margin * self.head(embedding, views.label)
        loss.backward()  # type: ignore[no-untyped-call]
        self._meet()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.views += len(views.pixels) * self.group.size
        self._update_average()
        return cosine.detach(), loss.detach()

    def _meet(self) -> None:
        """Gradients and batch statistics become those of all processes' views."""
        params = (p for o in self.optimizers for group in o.param_groups for p in group["params"])
        gradients = [param.grad for param in params if param.grad is not None]
        statistics = [b for name, b in self.network.named_buffers() if ".running_" in name]
        self.group.mean_(gradients + statistics)

    @torch.no_grad()
    def _update_average(self) -> None:
        # Young averages follow closely, so that the random start does not linger in them.
        steps = self.views // self.settings.batch
        decay = min(self.settings.ema, (1 + steps) / (10 + steps))
        floats, theirs = [], []
        for mine, other in zip(_tensors(self.average), _tensors(self.network), strict=True):
            if mine.is_floating_point():
                floats.append(mine)
                theirs.append(other)
            else:
                mine.copy_(other)
        torch._foreach_lerp_(floats, theirs, 1 - decay)

    def save(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        content = {
            "settings": asdict(self.settings),
            "views": self.views,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "head": self.head.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        beside = path.with_suffix(".partial")
        torch.save(content, beside)
        os.replace(beside, path)

    @staticmethod
    def load(
        path: Path, device: torch.device, given: Mapping[str, Any], group: Group = ALONE
    ) -> "Run":
        """A run from its checkpoint; `given` settings take the place of its own."""
        # To the host: AdamW's step counts stay there, where reading them does not wait for a GPU.
        content = torch.load(path, map_location="cpu", weights_only=True)
        settings = Settings(**{**content["settings"], **given})
        run = Run(settings, device, group)
        run.network.load_state_dict(content["network"])
        run.average.load_state_dict(content["average"])
        if settings.margin > 0:
            run.head.load_state_dict(content["head"])
        for optimizer, state in zip(run.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        run.views = content["views"]
        return run


def _tensors(network: nn.Module) -> Iterator[torch.Tensor]:
    return itertools.chain(network.parameters(), network.buffers())


# -------------------------------------------------------------------------------------- the loop


def train(run: Run, session: Session) -> bool:
    """Go on with a run until it is done or the session is over. Returns whether it is done."""
    settings, group, started = run.settings, run.group, time.monotonic()
    checkpoint = session.out / "checkpoint.pt"
    data = Path(settings.data)
    pack = read_packs(sorted(data.glob("train-*.npz")), settings.limit or None, session.threads)
    seen = frame(pack.teacher, settings.centre, settings.whiten)
    pack = seen.see(pack)
    if run.views == 0 and settings.start:
        run.meet_inputs(pack)
        run.meet_targets(pack, seen)
    run.bank = torch.from_numpy(pack.teacher).to(run.device, fast_dtype(run.device))
    if run.views == 0 and settings.margin > 0:
        run.head.begin_with(run.bank, torch.from_numpy(pack.label).to(run.device, torch.int64))
    held_out = seen.see(read_packs([data / "identify.npz"], 2000, session.threads))
    log = (session.out / "log.jsonl").open("a")

    def note(**figures: float) -> None:
        if not group.leads:
            return
        figures = {"views": run.views, **{k: round(v, 5) for k, v in figures.items()}}
        print(json.dumps(figures), flush=True)
        log.write(json.dumps(figures) + "\n")
        log.flush()

    saved, tick, tick_views = time.monotonic(), time.monotonic(), run.views
    cosines: list[torch.Tensor] = []
    with log, _asked_to_stop() as stop:
        for views in _views(pack, run, session.threads):
            cosine, _ = run.step(views)
            cosines.append(cosine)
            now = time.monotonic()
            if len(cosines) == 50:
                rate = (run.views - tick_views) / (now - tick)
                note(cosine_loss=torch.stack(cosines).mean().item(), views_per_second=rate)
                cosines, tick, tick_views = [], now, run.views
            done = run.views >= settings.views
            over = group.any(stop.is_set or 0 < session.minutes * 60 < now - started)
            if group.leads and (run.views % session.evaluate_views < settings.batch or done):
                size = crop_size(settings, run.views - 1)
                note(**evaluate(run.average, held_out, size, run.device))
                tick, tick_views = time.monotonic(), run.views
            due = done or over or now - saved > session.checkpoint_minutes * 60
            if group.leads and due:
                run.save(checkpoint)
                saved = time.monotonic()
            if done or over:
                return done
    return True


def _views(pack: Pack, run: Run, threads: int) -> Iterator[Views]:
    """This process' share of each batch, from where the run stands to its end."""
    settings, share = run.settings, run.group.share(run.settings.batch)
    batches = (
        (first + run.group.rank * share, crop_size(settings, first))
        for first in range(run.views, settings.views, settings.batch)
    )
    args = (pack, batches, share, settings.seed, settings.hard_share)
    if run.device.type == "cpu":
        return host_views(*args, threads)
    return device_views(*args, run.device)


@dataclass
class _Stop:
    is_set: bool = False


@contextmanager
def _asked_to_stop() -> Iterator[_Stop]:
    """Ctrl-C or a plain kill asks the loop to write a checkpoint and leave."""
    stop = _Stop()

    def ask(*_: object) -> None:
        stop.is_set = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ------------------------------------------------------------------------------------ the command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for field in fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(flag, type=type(field.default), help=f"default {field.default}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so many; 0: when done")
    parser.add_argument("--checkpoint-minutes", type=float, default=3)
    parser.add_argument("--evaluate-views", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="for the data")
    arguments = vars(parser.parse_args())
    given = {field.name: arguments.pop(field.name) for field in fields(Settings)}
    given = {name: value for name, value in given.items() if value is not None}
    session = Session(**arguments)
    session.out.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    with process_group() as group:
        done, views = _go_on(session, given, group)
    if group.leads:
        print("done" if done else f"stopped at view {views}; call again to go on")


def _go_on(session: Session, given: Mapping[str, Any], group: Group) -> tuple[bool, int]:
    """Begin or resume a run. Returns whether it is done, and its views."""
    alone_on_gpu = group.size == 1 and torch.cuda.is_available()
    device = torch.device("cuda" if alone_on_gpu else "cpu")
    checkpoint = session.out / "checkpoint.pt"
    if checkpoint.exists():
        run = Run.load(checkpoint, device, given, group)
        if group.leads:
            print(f"going on at view {run.views} of {run.settings.views}")
    else:
        run = Run(Settings(**given), device, group)
        if run.settings.start:
            run.begin_with(embedder.load(Path(run.settings.start)))
    done = train(run, session)
    if done and group.leads:
        embedder.save(run.average.cpu(), session.out / f"{run.settings.name}.pt")
    return done, run.views


if __name__ == "__main__":
    main()
