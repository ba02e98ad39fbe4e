"""Checkpoints: safetensors with what it takes to build the model again; read strictly.

Header "retake": JSON {"sizes", "prepared", "recipe_sha256", "aliases"}; aliases are names that share a
tensor.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from contextlib import nullcontext
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

HEADER = "retake"
DRAWN = (
    "normal_",
    "uniform_",
    *(f"{kind}_{of}_" for kind in ("kaiming", "xavier") for of in ("normal", "uniform")),
)
LARGE = 2**20  # numbers of a tensor; larger ones are taken from a file as they lie there
DRAWN_UP_TO = 2**28  # bytes of files that give what a model begins from
KINDS = (lambda tensor: tensor.dtype, lambda tensor: tensor.device, lambda tensor: tensor.stride())
COUNTER = "num_batches_tracked"  # of batch normalisation: some published files lack it, and nothing reads it


class Undrawn(TorchFunctionMode):
    """While it is entered, what draws a tensor's numbers gives zeros: of a model that a file fills altogether.

    Drawing a billion numbers takes half a minute, and so does memory of their size once it is touched: large tensors
    are left as they lie. Small ones are zeros, since who draws may look at what came.

    A truncated normal draw is one: what torch does within it, over and over, is not looked at.

    save   numbers of the draws, counted from 0, that are drawn all the same
    drawn  the tensors that were asked for, in order
    """

    def __init__(self, save: Collection[int] = ()):
        super().__init__()
        self.save, self.drawn = save, []  # type: ignore[var-annotated]
        self.within = False  # a draw
        self.truncated = (
            torch.nn.init._no_grad_trunc_normal_
        )  # what all of torch's and transformers' come down to

    def __enter__(self) -> "Undrawn":
        torch.nn.init._no_grad_trunc_normal_ = self._truncated
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.nn.init._no_grad_trunc_normal_ = self.truncated
        super().__exit__(*error)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        draw = partial(func, *args, **(kwargs or {}))
        if self.within or getattr(func, "__name__", "") not in DRAWN:
            return draw()
        return self._drawn(args[0] if args else kwargs["tensor"], draw)

    def _truncated(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.within = True
        try:
            return self._drawn(tensor, partial(self.truncated, tensor, *args, **kwargs))
        finally:
            self.within = False

    def _drawn(self, tensor: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        self.drawn.append(tensor)
        if len(self.drawn) - 1 in self.save:
            return draw()
        with torch.no_grad():
            return tensor if tensor.numel() >= LARGE else tensor.zero_()


def started(
    build: Callable[[], nn.Module], starts: list[dict[str, Any]], fresh: list[str]
) -> tuple[nn.Module, dict[str, Tensor]]:
    """What `build` makes, filled by `start_from`; and what that returns.

    Where files give gigabytes, what they give is not drawn first: it is built twice, once to learn which draws are of
    `fresh`. Of smaller files all is drawn: a trained network then begins from the numbers that it always did.
    """
    if not starts:
        return build(), {}
    model, save = None, set[int]()
    if not fresh or sum(Path(start["checkpoint"]).stat().st_size for start in starts) >= DRAWN_UP_TO:
        with torch.random.fork_rng(devices=[]) if fresh else nullcontext(), Undrawn() as draws:
            model = build()
        if fresh:
            state = model.state_dict().items()
            free = {place_of(t) for name, t in state if any(fnmatchcase(name, p) for p in fresh)}
            save = {number for number, tensor in enumerate(draws.drawn) if place_of(tensor) in free}
            with Undrawn(save):
                model = build()
    model = build() if model is None else model
    return model, start_from(model, starts, fresh)


def place_of(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def digest_of(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write under a temporary name, then rename: a reader sees the whole file or the one before.

    One header key only: safetensors writes several in no fixed order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(kept, partial, metadata={HEADER: json.dumps(header, sort_keys=True)})
    os.replace(partial, path)  # noqa: PTH105 - atomic on purpose


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header ({} for a file of others). Raises ValueError, with the path, if it is no
    safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as safetensors: {error}") from error


def read_header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {}).get(HEADER, "{}"))


def state_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The model's tensors, each once, and the further names of those that have several."""
    seen: dict[tuple, str] = {}
    tensors, aliases = {}, {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() and place in seen:
            aliases[name] = seen[place]
        else:
            seen[place] = name
            tensors[name] = tensor
    return tensors, aliases


def save(
    path: Path, model: nn.Module, *, sizes: dict[str, Any], prepared: dict[str, Any], recipe_sha256: str
) -> None:
    header = {"sizes": sizes, "prepared": prepared, "recipe_sha256": recipe_sha256}
    save_tensors(path, *state_of(model), header)


def save_tensors(
    path: Path, tensors: dict[str, Tensor], aliases: dict[str, str], header: dict[str, Any]
) -> None:
    """A checkpoint of a model whose tensors were gathered; see `state_of`."""
    write_tensors(path, tensors, {**header, "aliases": aliases})


def load(model_module: str, path: Path) -> nn.Module:
    """The model of a checkpoint, in evaluation mode.

    Raises ValueError on a file that does not fit to the name.
    """
    tensors, header = read_tensors(path)
    if "sizes" not in header:
        raise ValueError(f"{path}: no checkpoint of ours: its header names no sizes")
    with Undrawn():
        model = import_module(model_module).build(**header["sizes"], **header["prepared"])
    given = {**tensors, **{n: tensors[o] for n, o in header["aliases"].items()}}
    wanted = _check(model, given, [], [str(path)])
    fill(model, wanted, given)
    return model.eval()


@torch.no_grad()
def fill(model: nn.Module, wanted: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    """Put tensors into a model of that state_dict, whose names and shapes they have.

    A large one is not copied: the parameter is that part of the file, mapped into memory for this process alone, and
    a page of it is held twice only once it is trained.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    owners: dict[int, set[int]] = {}
    for parameter in parameters.values():
        owners.setdefault(place_of(parameter), set()).add(id(parameter))
    alone = {name: p for name, p in parameters.items() if len(owners[place_of(p)]) == 1}
    takes: dict[
        int, int
    ] = {}  # where a tensor begins -> whose it became: two that are not one must not share it
    for name, tensor in given.items():
        own = alone.get(name) if tensor.numel() >= LARGE else None
        alike = own is not None and all(kind(own) == kind(tensor) for kind in KINDS)
        if alike and takes.setdefault(tensor.data_ptr(), id(own)) == id(own):
            own.data = tensor  # type: ignore[union-attr]
        else:
            wanted[name].copy_(tensor)


def start_from(model: nn.Module, starts: list[dict[str, Any]], fresh: list[str]) -> dict[str, Tensor]:
    """Fill `model` from files: each {"checkpoint", "into": prefix, "leave_out": patterns}.

    Returns what the files have in fewer bytes than the model, as they have it.

    Together with the `fresh` patterns, which keep their random values, they must give every tensor exactly
    once. Raises ValueError that names what is missing, unknown, of another shape, given twice, or a pattern
    without a match.
    """
    given: dict[str, Tensor] = {}
    for start in starts:
        path = Path(start["checkpoint"])
        tensors, header = read_tensors(path)
        tensors |= {name: tensors[other] for name, other in header.get("aliases", {}).items()}
        for pattern in start["leave_out"]:
            hits = [name for name in tensors if fnmatchcase(name, pattern)]
            if not hits:
                raise ValueError(f"{path}: leave_out: {pattern!r} matches none of its names")
            tensors = {name: t for name, t in tensors.items() if name not in hits}
        renamed = {start["into"] + name: tensor for name, tensor in tensors.items()}
        if twice := sorted(renamed.keys() & given.keys()):
            raise ValueError(f"{path}: gives {twice[0]!r}, which an earlier start gave already")
        given |= renamed
    if starts:
        fill(model, _check(model, given, fresh, [str(s["checkpoint"]) for s in starts]), given)
    own = model.state_dict()
    return {
        name: tensor for name, tensor in given.items() if tensor.element_size() < own[name].element_size()
    }


def _check(
    model: nn.Module, given: dict[str, Tensor], fresh: list[str], files: list[str]
) -> dict[str, Tensor]:
    """The model's tensors by name. Raises ValueError unless `given` and `fresh` name each once, in its shape."""
    wanted = model.state_dict()
    where = " + ".join(files)
    for pattern in fresh:
        if not any(fnmatchcase(name, pattern) for name in wanted):
            raise ValueError(f"fresh: {pattern!r} matches no parameter")
    if unknown := sorted(given.keys() - wanted.keys()):
        raise ValueError(f"{where}: {len(unknown)} names the model does not have, first {unknown[:3]}")
    at_random = {n for n in wanted if any(fnmatchcase(n, p) for p in fresh)}
    if both := sorted(at_random & given.keys()):
        raise ValueError(f"{where}: gives {both[0]!r}, which `fresh` says begins at random; leave it out")
    missing = sorted(n for n in wanted.keys() - given.keys() - at_random if not n.endswith(COUNTER))
    if missing:
        raise ValueError(f"{where}: {len(missing)} of the model's tensors are not there, first {missing[:3]}")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, the model's is {tuple(wanted[name].shape)}"
            raise ValueError(f"{where}: {name!r} has shape {shapes}")
    return wanted
