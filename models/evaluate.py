"""Figures of an embedder on photographs or crops: LFW pairs, and open-set identification.

    python -m models.evaluate lfw ../shared/data/lfw-pairs.zip --json
    python -m models.evaluate identify ../shared/data/identify.npz --json
    python -m models.evaluate lfw ../shared/data/lfw-pairs.zip --model FILE.onnx

Photographs go through the service's own detector and alignment (see models/photos.py). `--model`
takes any ONNX embedder of (N, 3, 112, 112) RGB in -1..1, so that others run through the same code,
or a PyTorch checkpoint. A photograph without a found face stays in: its pairs score -1.
"""

import argparse
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from models import catalog, metrics, photos, weights
from models.data import read_packs

Floats = npt.NDArray[np.float32]
Embed = Callable[[npt.NDArray[np.uint8]], Floats]  # (N, 112, 112, 3) RGB -> (N, D), unit length
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


# ------------------------------------------------------------------------------------- embedders


def onnx_embedder(path: Path, batch: int = 16) -> Embed:
    """An embedder from an ONNX file that takes what the product's takes: RGB in -1..1."""
    card = catalog.card("scsc_faceresnet")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def embed(crops: npt.NDArray[np.uint8]) -> Floats:
        parts = []
        for i in range(0, len(crops), batch):
            x = (crops[i : i + batch].astype(np.float32) - card.mean) / card.std
            parts.append(session.run(None, {name: x.transpose(0, 3, 1, 2).copy()})[0])
        return _unit(np.concatenate(parts))

    return embed


def torch_embedder(path: Path, batch: int = 64) -> Embed:
    """An embedder from a released checkpoint or the checkpoint of a run."""
    import torch

    from models.export import read
    from models.train import to_input

    network = read(path)

    def embed(crops: npt.NDArray[np.uint8]) -> Floats:
        parts = []
        for i in range(0, len(crops), batch):
            with torch.no_grad():
                x = to_input(crops[i : i + batch], torch.device("cpu"))
                parts.append(network(x).numpy())
        return _unit(np.concatenate(parts))

    return embed


def _unit(embeddings: Floats) -> Floats:
    result: Floats = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return result


# ----------------------------------------------------------------------------------- LFW, 1 to 1


def read_pairs(text: str) -> tuple[list[tuple[str, str]], npt.NDArray[np.bool_]]:
    """LFW's pairs.txt -> file names of each pair, and whether they are one person.

    Raises ValueError for a line that is neither `name i j` nor `name i name j`.
    """
    pairs, same = [], []
    for number, line in enumerate(text.splitlines()[1:], 2):
        match line.split():
            case [name, i, j]:
                one, other, alike = (name, i), (name, j), True
            case [name, i, stranger, j]:
                one, other, alike = (name, i), (stranger, j), False
            case _:
                raise ValueError(f"pairs.txt line {number}: {line!r} is not a pair")
        pairs.append((_lfw_file(*one), _lfw_file(*other)))
        same.append(alike)
    return pairs, np.array(same)


def _lfw_file(name: str, number: str) -> str:
    return f"lfw/{name}/{name}_{int(number):04d}.jpg"


def lfw(archive: Path, embed: Embed, cache: Path | None = None) -> dict[str, float]:
    """LFW's 6,000 pairs, photographs in: 10-fold accuracy, and TAR at two FARs."""
    with zipfile.ZipFile(archive) as files:
        text = files.read("pairs.txt").decode()
        folds = int(text.split()[0])
        pairs, same = read_pairs(text)
        names = sorted({name for pair in pairs for name in pair})
        crops = _cached(cache, lambda: [files.read(name) for name in names])
    row = {name: i for i, name in enumerate(names)}
    left, right = (np.array([row[pair[side]] for pair in pairs]) for side in (0, 1))
    embeddings = embed(crops.crops)
    scores = (embeddings[left] * embeddings[right]).sum(1)
    scores[~(crops.found[left] & crops.found[right])] = -1.0
    fold = np.arange(len(pairs)) // (len(pairs) // folds)
    accuracies = metrics.k_fold_accuracy(scores, same, fold)
    threshold, _ = metrics.best_threshold(scores, same)
    return {
        "accuracy": float(accuracies.mean()),
        "accuracy_std": float(accuracies.std()),
        "tar_at_far_0.01": metrics.tar_at_far(scores[same], scores[~same], 1e-2),
        "tar_at_far_0.001": metrics.tar_at_far(scores[same], scores[~same], 1e-3),
        "best_threshold": threshold,
        "threshold_at_far_0.001": metrics.threshold_at_far(scores[~same], 1e-3),
        "pairs": len(pairs),
        "faces_not_found": int((~crops.found).sum()),
    }


def _cached(cache: Path | None, photographs: Callable[[], Sequence[bytes]]) -> photos.Crops:
    """Crops from the file, or from photographs through a service, and then kept in the file."""
    if cache is not None and cache.exists():
        with np.load(cache) as arrays:
            return photos.Crops(arrays["crops"], arrays["found"])
    with photos.service() as url:
        crops = photos.aligned_crops(photographs(), url)
    if cache is not None:
        np.savez(cache, crops=crops.crops, found=crops.found)
    return crops


# ------------------------------------------------------------------------- identification, 1 to N


def identify(source: Path, embed: Embed, cache: Path | None = None) -> dict[str, float]:
    """Open-set identification on a pack of crops (.npz) or a folder of photographs per person.

    Half of the people, drawn with a fixed seed, are enrolled with one picture each and searched
    with their others; all pictures of the other half are strangers. Ten draws are averaged.
    """
    if source.suffix == ".npz":
        pack = read_packs([source])
        crops, people = photos.Crops(pack.crops, np.ones(len(pack.crops), bool)), pack.label
    else:
        files = sorted(f for f in source.glob("*/*") if f.suffix.lower() in PICTURES)
        names = sorted({file.parent.name for file in files})
        people = np.array([names.index(file.parent.name) for file in files], np.int32)
        crops = _cached(cache, lambda: [file.read_bytes() for file in files])
    embeddings, people = embed(crops.crops[crops.found]), people[crops.found]
    figures = [_draw(embeddings, people, seed) for seed in range(10)]
    enrolled = len(np.unique(people)) // 2
    return {
        **{key: float(np.mean([draw[key] for draw in figures])) for key in figures[0]},
        "people": enrolled,
        "strangers": len(np.unique(people)) - enrolled,
        "faces_not_found": int((~crops.found).sum()),
    }


def _draw(embeddings: Floats, people: npt.NDArray[np.int32], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    known = rng.permutation(np.unique(people))[: len(np.unique(people)) // 2]
    enrolled = np.array([rng.choice(np.flatnonzero(people == person)) for person in known])
    probes = np.setdiff1d(np.arange(len(people)), enrolled)
    scores = embeddings[probes] @ embeddings[enrolled].T
    strict = metrics.open_set(scores, people[enrolled], people[probes], 0.001)
    loose = metrics.open_set(scores, people[enrolled], people[probes], 0.01)
    return {
        "rank1": strict.rank1,
        "fnir_at_fpir_0.01": loose.fnir,
        "fnir_at_fpir_0.001": strict.fnir,
        "threshold_at_fpir_0.01": loose.threshold,
    }


# ------------------------------------------------------------------------------------ the command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("protocol", choices=["lfw", "identify"])
    parser.add_argument("source", type=Path, help="the LFW archive; a pack, or a folder of folders")
    parser.add_argument("--model", type=Path, help="an ONNX file or a checkpoint; else the product")
    parser.add_argument("--crops", type=Path, help="keep the aligned crops here, and reuse them")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.source.exists():
        parser.error(f"{arguments.source} does not exist")
    model = arguments.model or weights.find(catalog.card("scsc_faceresnet"))
    embed = torch_embedder(model) if model.suffix == ".pt" else onnx_embedder(model)
    run = lfw if arguments.protocol == "lfw" else identify
    figures = run(arguments.source, embed, arguments.crops)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key:24} {value:.4f}" if isinstance(value, float) else f"{key:24} {value}")


if __name__ == "__main__":
    main()
