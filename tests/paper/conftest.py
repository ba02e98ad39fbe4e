"""Paper scale without the network: one video a split in each data set's official layout, random weights in the
published layout, both served on the loopback interface to a copy of this checkout."""

import io
import json
import mmap
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from retake.data.mini_release import make_release, render_videos
from retake.plan import Plan
from retake.planning.recipes import overlaid
from retake.schema.strict import read_yaml
from tests.fixtures.loopback import Served, serve
from tests.workflow.conftest import ROOT, Project, checkout_at

CONFIG = read_yaml("config.yaml") | {
    "scale": "paper",
    "seeds": [1],
    "max_steps": 1,
    "mlflow": {"store": "none"},
}
PLAN = Plan(CONFIG)  # its releases, weights, tables and recipes are all that these tests know of
SIZES = yaml.safe_load(Path(__file__).with_name("sizes.yaml").read_text())
TEXTS = ("a dog jumps over the box", "two red cars wait")  # what a tokenizer is learnt from
RESOURCES = ("--resources", "mem_mb=64000", "gpu=1")


def config_of(method: str) -> dict:
    """The config of the method's tests: this method alone, on the data sets that sizes.yaml names, else on all."""
    datasets = tried(method).get("datasets", PLAN.chosen[method])
    return CONFIG | {"run": [{"method": method, "datasets": datasets}]}


def tried(method: str) -> dict:
    return SIZES.get(method, {}).get("tried", {})


@cache
def plan_of(method: str) -> Plan:
    return Plan(config_of(method))


@dataclass
class AtPaperScale:
    """A copy of the checkout whose cards point at a server of this machine."""

    project: Project
    served: Served
    plan: Plan

    def edit(self, release: str, **facts: object) -> None:
        """Change facts of the copy's card, and nothing else."""
        card = self.project.folder / f"retake/data/datasets/{release}/card.yaml"
        card.write_text(yaml.safe_dump(read_yaml(card) | facts, sort_keys=False))

    def file(self, path: str) -> Path:
        return self.project.folder / "results/paper" / path


@cache
def release_archive(release: str, laid: tuple[tuple[str, float], ...]) -> bytes:
    """A tar of the release as the data set's own mini.py writes it, one video a split, or as few as there can be.

    laid  (option, number) that stand in the place of the card's
    """
    card = PLAN.cards[release]
    options = dict(card.mini.options) | {"captions_per_video": 2}
    known = import_module(f"retake.data.datasets.{release}.mini").OPTIONS
    options |= {name: length if isinstance(known.get(name), int) else [length] * 2 for name, length in laid}
    asked = {
        "release": release,
        "splits": dict.fromkeys(card.splits or card.mini.splits, 1),
        "options": {name: value for name, value in options.items() if name in known},
        "num_shards": 1,
    }
    with tempfile.TemporaryDirectory() as name, io.BytesIO() as packed:
        root, beside = Path(name) / "release", Path(name)
        out = {"files_out": beside / "files.json", "truth_out": beside / "truth.parquet"}
        make_release(root=root, **asked, **out)
        render_videos(root=root, **asked, shard="000", manifest_out=beside / "shard.json")
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(root.iterdir()):
                tar.add(path, path.name)
        return packed.getvalue()


class Filled(TorchFunctionMode):
    """Large tensors get the same random numbers over and over: drawing a billion takes half a minute."""

    LARGE = 1_000_000
    DRAWN = ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        tensor = args[0] if args else (kwargs or {}).get("tensor")
        if getattr(func, "__name__", "") not in self.DRAWN or tensor.numel() < self.LARGE:
            return func(*args, **(kwargs or {}))
        with torch.no_grad(), torch._C.DisableTorchFunction():
            some, flat = 0.02 * torch.randn(self.LARGE), tensor.view(-1)
            for start in range(0, len(flat), self.LARGE):
                flat[start : start + self.LARGE] = some[: len(flat) - start]
        return tensor


def published_weights(weights: str, folder: Path) -> dict[str, memoryview | bytes]:
    """The published files of a foundation at its published size, with random values: a pickle holds halves.

    Large ones lie in `folder`: what is served of them is read from there.
    """
    module, card = import_module(f"retake.weights.{weights}.model"), PLAN.weights[weights]
    sizes, prepare = card.paper.model, getattr(module, "prepare", lambda rows, sizes: {})
    torch.manual_seed(0)
    with Filled():
        made = module.build(**sizes, **prepare([{"text_out": text, "labels": [0]} for text in TEXTS], sizes))
    tensors, config, *texts = module.published(made, sizes)
    found: dict[str, memoryview | bytes] = {
        name: text.encode() for files in texts for name, text in files.items()
    }
    found["config.json"] = json.dumps(config).encode()
    pickled = [file["name"] for file in hub_of(weights)["files"] if file.get("becomes")]
    folder.mkdir(parents=True)
    for name in pickled or ["model.safetensors"]:
        if pickled:
            torch.save({key: tensor.half() for key, tensor in tensors.items()}, folder / name)
        else:
            save_file(tensors, folder / name)
        with (folder / name).open("rb") as file:
            found[name] = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return found


def hub_of(weights: str) -> dict:
    """Where a foundation is served from: as its card says; one that no hub has, as we write it anew."""
    source = PLAN.weights[weights].source.model_dump(exclude_none=True)
    if "repo" in source:
        return source
    files = ["config.json", "model.safetensors", *PLAN.weights[weights].tokenizer]
    return {"repo": f"given/{weights}", "revision": "main", "files": [{"name": name} for name in files]}


@pytest.fixture
def served():
    with serve() as server:
        yield server


@pytest.fixture
def at_paper_scale(tmp_path, served, method, table) -> AtPaperScale:
    """One table to make, all releases and foundations downloadable; cards differ in where from and how many.

    Of the recipe differ the protocols and stages that sizes.yaml names (`tried`): a processor would take an hour.
    """
    plan, project = plan_of(method), checkout_at(tmp_path / "project")
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config_of(method)))
    project.arguments = (f"results/paper/tables/{method}/{table}.csv", *RESOURCES)
    project.environment = {"HF_ENDPOINT": served.url}
    copy = AtPaperScale(project, served, plan)
    recipe = project.folder / plan.recipe_files[method]
    changes = {key: tried(method).get(key, {}) for key in ("protocols", "stages")}
    changed = overlaid(read_yaml(recipe), changes)
    recipe.write_text(yaml.safe_dump(changed, sort_keys=False))
    for release in plan.fetched:
        lengths = {
            key: tried(method)[key] for key in ("seconds", "length_s", "keyframes") if key in tried(method)
        }
        body = release_archive(release, tuple(lengths.items()))
        served.add(f"/{release}.tar", body)
        source = {"url": f"{served.url}/{release}.tar", "file": f"{release}.tar", "unpack": "tar"}
        source |= {"sha256": sha256(body).hexdigest(), "size": len(body)}
        expects = [{"path": want.path} for want in plan.cards[release].expects]
        copy.edit(release, access="open", sources=[source], expects=expects, shards={"mini": 1, "paper": 1})
    for weights in plan.published:
        hub, files = hub_of(weights), published_weights(weights, tmp_path / "published" / weights)
        card = project.folder / f"retake/weights/{weights}/card.yaml"
        card.write_text(yaml.safe_dump(read_yaml(card) | {"access": "open", "source": hub}, sort_keys=False))
        for file in hub["files"]:
            served.add(f"/{hub['repo']}/resolve/{hub['revision']}/{file['name']}", files[file["name"]])
    return copy


@pytest.fixture
def checkout(tmp_path) -> Project:
    """This checkout with its own config.yaml."""
    project = checkout_at(tmp_path / "project")
    (project.folder / "config.yaml").write_bytes((ROOT / "config.yaml").read_bytes())
    return project
