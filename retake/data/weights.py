"""Bring published weights: from the model hub, from addresses of their own, or from a folder that the user has.

What is left is what `pretrain_weights` leaves too: config.json and model.safetensors (and tokenizer files
where the card lists some). Nothing that runs code is ever taken: where a release has pickled tensors only, they
are read once by a restricted unpickler, which knows tensors or arrays and plain values, and written anew.
"""

import json
import logging
import os
import shutil
import struct
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import MappingProxyType, ModuleType
from typing import Any

from retake.data.fetch import PAUSE_S, DownloadError, fetch, what_is_wrong
from retake.data.unpickled import UnpickleError, blobs, unpickled
from retake.schema.card import File, HubFile, WeightsCard, read_weights_card

LOG = logging.getLogger(__name__)
CARDS = Path(__file__).parent.parent / "weights"
HUB = "https://huggingface.co"
SAFE = (".safetensors", ".json", ".txt", ".model")  # pickles are refused, save where they become something
PICKLES = (".bin", ".pt", ".pth", ".pyth", ".pkl")  # the last one: arrays by name, not written by torch
REWRITTEN = (*PICKLES, ".safetensors")
NEEDED = ("config.json", "model.safetensors")


class WeightsError(RuntimeError):
    """Weights that cannot be had: what was tried, and which files to put where."""


def fetch_weights(
    *, weights: str, folder: Path | None, weights_out: Path, config_out: Path,
    beside_out: Mapping[str, Path] = MappingProxyType({}), pause_s: float = PAUSE_S,
) -> None:  # fmt: skip
    """Write model.safetensors to `weights_out`, config.json to `config_out`, and the card's other files.

    folder      where the user has the files; nothing is fetched then
    beside_out  paths of other files, which are known by their names; those not named lie beside the first
    A file that `becomes` model.safetensors is rewritten, its names put right by the folder's convert.py, and
    removed. The hub is $HF_ENDPOINT, or its public address. Raises WeightsError.
    """
    card = read_weights_card(CARDS / weights / "card.yaml")
    convert = _converter(weights)
    _check_names(weights, card.source.files, hasattr(convert, "config"))
    places = {Path(path).name: Path(path) for path in beside_out.values()}
    places |= {"model.safetensors": Path(weights_out), "config.json": Path(config_out)}
    for file in card.source.files:
        target = places.get(file.name, Path(weights_out).parent / file.name)
        if file.becomes is not None:  # its name may be that of what is made of it
            target = Path(weights_out).parent / f"published-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if file.becomes is not None and folder is not None:
                target = _checked(Path(folder) / file.name, file)  # read where it lies
            elif folder is not None:
                _copy(Path(folder) / file.name, target, file)
            else:
                fetch([_source(card, file)], target, pause_s=pause_s)
            if file.becomes is None:
                _check_content(file.name, target)
            else:
                _rewrite(target, convert, Path(weights_out), Path(config_out))
        except (DownloadError, WeightsError) as error:
            if folder is None or file.becomes is None:
                target.unlink(missing_ok=True)
            raise WeightsError(_message(weights, card, f"{file.name}: {error}", folder)) from None
        if file.becomes is not None and folder is None:
            target.unlink()


def _check_names(weights: str, files: list[HubFile], makes_config: bool) -> None:
    """Raises WeightsError where the card asks for a pickle, or leaves out what every reader needs."""
    for file in files:
        path, known = PurePosixPath(file.name), REWRITTEN if file.becomes else SAFE
        if path.suffix not in known or path.is_absolute() or ".." in path.parts:
            raise WeightsError(
                f"weights/{weights}/card.yaml: {file.name}: expected a name ending in {', '.join(known)}"
            )
    have = {file.becomes or file.name for file in files} | ({"config.json"} if makes_config else set())
    if absent := [name for name in NEEDED if name not in have]:
        raise WeightsError(f"weights/{weights}/card.yaml: source.files: {absent[0]} is missing")


def _converter(weights: str) -> ModuleType | None:
    """The convert.py of a weights folder, where it has one: rename(tensors) -> tensors, config(tensors) -> dict."""
    if not (CARDS / weights / "convert.py").is_file():
        return None
    return import_module(f"retake.weights.{weights}.convert")


def _rewrite(pickled: Path, convert: ModuleType | None, weights_out: Path, config_out: Path) -> None:
    """model.safetensors, and config.json where the converter tells it, from a file of tensors by name."""
    from safetensors.torch import save_file  # with torch: seconds, and half of all foundations need neither

    try:
        tensors = _tensors(pickled)
        described = convert.config(tensors) if hasattr(convert, "config") else None
        tensors = convert.rename(tensors) if convert is not None else tensors
    except UnpickleError as error:
        raise WeightsError(str(error)) from None
    except (KeyError, ValueError) as error:
        raise WeightsError(f"holds other tensors than those of this network: {error}") from None
    if described is not None:
        config_out.parent.mkdir(parents=True, exist_ok=True)
        config_out.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    weights_out.parent.mkdir(parents=True, exist_ok=True)
    part = weights_out.with_name(weights_out.name + ".part")
    save_file({name: tensors[name].contiguous() for name in sorted(tensors)}, part)
    part.replace(weights_out)


def _tensors(file: Path) -> dict[str, Any]:
    """Raises UnpickleError, WeightsError."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        _check_safetensors(file)
        return load_file(file)
    return blobs(file) if file.suffix == ".pkl" else unpickled(file)


def _source(card: WeightsCard, file: HubFile) -> File:
    if file.url is not None:
        return File(url=file.url, file=file.name, size=file.size, sha256=file.sha256, md5=None)
    if card.source.repo is None:
        raise WeightsError("no address is known from which it can be fetched")
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    url = f"{hub}/{card.source.repo}/resolve/{card.source.revision}/{file.name}"
    return File(url=url, file=file.name, size=file.size, sha256=file.sha256, md5=None)


def _copy(source: Path, target: Path, file: HubFile) -> None:
    shutil.copyfile(_checked(source, file), target)


def _checked(source: Path, file: HubFile) -> Path:
    """A file of the user's. Raises WeightsError where it is not there, or not what the card describes."""
    if not source.is_file():
        raise WeightsError(f"{source} is not there")
    described = File(
        url=source.absolute().as_uri(), file=file.name, size=file.size, sha256=file.sha256, md5=None
    )
    if wrong := what_is_wrong(source, described):
        raise WeightsError(wrong)
    return source


def _check_content(name: str, file: Path) -> None:
    """Raises WeightsError where the file is not what its name says."""
    if name.endswith(".json"):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WeightsError(f"is not JSON ({error})") from None
    if name.endswith(".safetensors"):
        _check_safetensors(file)


def _check_safetensors(file: Path) -> None:
    """The header must account for every byte of the file."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, 100 * 2**20):
            raise WeightsError("is not in the safetensors format (no header)")
        try:
            header = json.loads(opened.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"is not in the safetensors format (header: {error!r})") from None
    if 8 + length + max(ends, default=0) != size:
        raise WeightsError(f"has {size:,} bytes, its header describes {8 + length + max(ends, default=0):,}")


def _message(weights: str, card: WeightsCard, why: str, folder: Path | None) -> str:
    files = [file.name + (f" ({file.size:,} bytes)" if file.size else "") for file in card.source.files]
    where = f"of {card.source.repo} at revision {card.source.revision}"
    if card.source.repo is None:
        where = "at their addresses" if card.source.known else "without a folder"
    where = where if folder is None else f"of {folder}"
    return "\n".join(
        [
            f"Weights {weights} ({card.title}) {where} cannot be used.",
            f"  {why}",
            f"Put {' and '.join(files)} into a folder and name it in config.yaml,",
            f"  folders: {{weights/{weights}: /path/to/it}}",
            "and run the command again. Files ending in .bin, .pt, .pth are not read: they may run code."
            if not any(file.becomes for file in card.source.files)
            else "and run the command again.",
        ]
    )
