"""Paper scale without the network: one video a split in each data set's official layout, random weights in the
published layout, both served on the loopback interface to a copy of this checkout."""

import io
import json
import re
import struct
import tarfile
import tempfile
import zipfile
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import RLock

import pytest
import torch
import yaml
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
ONE_GPU = ["--resources", "mem_mb=64000", "gpu=1"]


def config_of(method: str) -> dict:
    """The config of the method's tests: this method alone, on the data sets that sizes.yaml names, else on all."""
    datasets = tried(method).get("datasets", PLAN.chosen[method])
    return CONFIG | {"run": [{"method": method, "datasets": datasets}]}


def tried(method: str) -> dict:
    return SIZES.get(method, {}).get("tried", {})


def rows_in_place(method: str) -> dict[str, list[dict]]:
    """Table -> rows that stand in the place of the recipe's, where sizes.yaml names some."""
    tables = tried(method).get("tables", [])
    return (
        {table: told["rows"] for table, told in tables.items() if "rows" in told} if is_told(tables) else {}
    )


def is_told(tables: list | dict) -> bool:
    """Whether more is said of tables than their names."""
    return isinstance(tables, dict)


def splits_of(method: str, release: str) -> tuple[str, ...]:
    """The splits of a release that have a video: those that its makers publish, or of them what sizes.yaml names."""
    card = PLAN.cards[release]
    return tuple(tried(method).get("splits", {}).get(release, card.splits or card.mini.splits))


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
def release_archive(release: str, splits: tuple[str, ...], laid: tuple[tuple[str, float], ...]) -> bytes:
    """A tar of the release as the data set's own mini.py writes it, one video a split, or as few as there can be.

    splits  those that have a video
    laid    (option, number) that stand in the place of the card's
    """
    card = PLAN.cards[release]
    options = dict(card.mini.options) | {"captions_per_video": 2}
    known = import_module(f"retake.data.datasets.{release}.mini").OPTIONS
    options |= {name: length if isinstance(known.get(name), int) else [length] * 2 for name, length in laid}
    asked = {
        "release": release,
        "splits": {split: int(split in splits) for split in card.mini.splits},
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


LARGE = 1_000_000  # numbers of a tensor whose values nobody draws: of a billion that takes half a minute
DRAWN = ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_")


class Untouched(TorchFunctionMode):
    """Large tensors are not drawn: no memory is filled for them, what is served in their place is made up later.

    One that is no parameter is what a truncated normal draw takes anew until it suits: zeros do.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        tensor = args[0] if args else (kwargs or {}).get("tensor")
        if getattr(func, "__name__", "") in DRAWN and tensor.numel() >= LARGE:
            return tensor if isinstance(tensor, torch.nn.Parameter) else tensor.zero_()
        return func(*args, **(kwargs or {}))


class Image:
    """The bytes of a file of gigabytes: one block over and over, save for `given`, made when they are asked for.

    given  [(offset, bytes)] in order
    """

    def __init__(self, size: int, block: bytes, given: list[tuple[int, bytes]]):
        self.size, self.block, self.given = size, block, given
        self.starts = [start for start, _ in given]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        phase = start % len(self.block)
        made = bytearray(self.block[phase : phase + stop - start])
        while len(made) < stop - start:
            made += self.block[: stop - start - len(made)]
        for place in range(max(0, bisect_right(self.starts, start) - 1), len(self.given)):
            at, told = self.given[place]
            if at >= stop:
                break
            shown = told[max(0, start - at) : stop - at]
            begin = max(at, start) - start
            made[begin : begin + len(shown)] = shown
        return bytes(made)


class Later:
    """A published file whose bytes are made when they are first asked for: most tables need some of the foundations."""

    making = RLock()  # one foundation at a time: they are drawn from torch's own generator

    def __init__(self, make: Callable[[], dict[str, Image | bytes]], name: str):
        self.make, self.name = make, name

    @property
    def made(self) -> Image | bytes:
        with self.making:
            return self.make()[self.name]

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, part: slice) -> bytes:
        return self.made[part]


def noise(dtype: torch.dtype) -> bytes:
    """What stands in the place of large tensors."""
    return bytes((0.02 * torch.randn(LARGE)).to(dtype).view(torch.uint8).numpy())


def numbers_of(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def as_safetensors(tensors: dict[str, torch.Tensor]) -> Image:
    """The file that safetensors' own save_file would write, but for the order of its tensors."""
    told, given, at = {}, [], 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        told[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, end]}
        if tensor.numel() < LARGE:
            given.append((at, numbers_of(tensor)))
        at = end
    header = json.dumps(told).encode()
    header += b" " * (-len(header) % 8)
    head = len(header).to_bytes(8, "little") + header
    given = [(0, head)] + [(len(head) + start, part) for start, part in given]
    return Image(len(head) + at, noise(torch.float32), given)


def as_pickle(tensors: dict[str, torch.Tensor], file: Path) -> Image:
    """The file that torch.save would write of the tensors as halves; `file` is its frame, with holes for numbers."""
    halves = {name: torch.empty(tensor.shape, dtype=torch.float16) for name, tensor in tensors.items()}
    with torch.serialization.skip_data():
        torch.save(halves, file)
    values, given, at = list(tensors.values()), [], 0
    with zipfile.ZipFile(file) as packed, file.open("rb") as frame:
        records = sorted(packed.infolist(), key=lambda record: record.header_offset)
        for record in (r for r in records if re.search(r"/data/\d+$", r.filename)):
            frame.seek(record.header_offset + 26)
            start = record.header_offset + 30 + sum(struct.unpack("<HH", frame.read(4)))
            frame.seek(at)
            given.append((at, frame.read(start - at)))
            tensor = values[int(record.filename.rpartition("/")[2])]
            assert record.file_size == 2 * tensor.numel()
            if tensor.numel() < LARGE:
                given.append((start, numbers_of(tensor.half())))
            at = start + record.file_size
        frame.seek(at)
        given.append((at, frame.read()))
    return Image(file.stat().st_size, noise(torch.float16), given)


def published_weights(weights: str, folder: Path) -> dict[str, Image | bytes]:
    """The published files of a foundation at its published size, with random values: a pickle holds halves."""
    module, card = import_module(f"retake.weights.{weights}.model"), PLAN.weights[weights]
    sizes, prepare = card.paper.model, getattr(module, "prepare", lambda rows, sizes: {})
    torch.manual_seed(0)
    with Untouched():
        made = module.build(**sizes, **prepare([{"text_out": text, "labels": [0]} for text in TEXTS], sizes))
    tensors, config, *texts = module.published(made, sizes)
    found: dict[str, Image | bytes] = {name: text.encode() for files in texts for name, text in files.items()}
    found["config.json"] = json.dumps(config).encode()
    pickled = [file["name"] for file in hub_of(weights)["files"] if file.get("becomes")]
    folder.mkdir(parents=True)
    for name in pickled:
        found[name] = as_pickle(tensors, folder / name)
    return found if pickled else found | {"model.safetensors": as_safetensors(tensors)}


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

    Of the recipe differ the protocols, stages and rows that sizes.yaml names (`tried`): a processor would take an hour.
    """
    plan, project = plan_of(method), checkout_at(tmp_path / "project")
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config_of(method)))
    tables = tried(method).get("tables", [])
    told = tried(method) | (tables[table] if is_told(tables) else {})
    project.arguments = (f"results/paper/tables/{method}/{table}.csv", *told.get("machine", ONE_GPU))
    project.environment = {"HF_ENDPOINT": served.url}
    copy = AtPaperScale(project, served, plan)
    recipe = project.folder / plan.recipe_files[method]
    changes = {key: tried(method).get(key, {}) for key in ("protocols", "stages")}
    changes["tables"] = {name: {"rows": rows} for name, rows in rows_in_place(method).items()}
    changed = overlaid(read_yaml(recipe), changes)
    recipe.write_text(yaml.safe_dump(changed, sort_keys=False))
    for release in plan.fetched:
        lengths = {key: told[key] for key in ("seconds", "length_s", "keyframes") if key in told}
        body = release_archive(release, splits_of(method, release), tuple(lengths.items()))
        served.add(f"/{release}.tar", body)
        source = {"url": f"{served.url}/{release}.tar", "file": f"{release}.tar", "unpack": "tar"}
        source |= {"sha256": sha256(body).hexdigest(), "size": len(body)}
        expects = [{"path": want.path} for want in plan.cards[release].expects]
        copy.edit(release, access="open", sources=[source], expects=expects, shards={"mini": 1, "paper": 1})
    for weights in plan.published:
        hub, files = (
            hub_of(weights),
            cache(partial(published_weights, weights, tmp_path / "published" / weights)),
        )
        card = project.folder / f"retake/weights/{weights}/card.yaml"
        card.write_text(yaml.safe_dump(read_yaml(card) | {"access": "open", "source": hub}, sort_keys=False))
        for file in hub["files"]:
            path = f"/{hub['repo']}/resolve/{hub['revision']}/{file['name']}"
            served.add(path, Later(files, file["name"]))
    return copy


@pytest.fixture
def checkout(tmp_path) -> Project:
    """This checkout with its own config.yaml."""
    project = checkout_at(tmp_path / "project")
    (project.folder / "config.yaml").write_bytes((ROOT / "config.yaml").read_bytes())
    return project
