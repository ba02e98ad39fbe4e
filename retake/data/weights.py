"""Bring published weights: from the model hub, or from a folder that the user has.

What is left is what `pretrain_weights` leaves too: config.json and model.safetensors (and tokenizer files
where the card lists some). Nothing that runs code when it is read is ever taken.
"""

import json
import logging
import os
import shutil
import struct
from pathlib import Path, PurePosixPath

from retake.data.fetch import PAUSE_S, DownloadError, fetch, what_is_wrong
from retake.schema.card import File, HubFile, WeightsCard, read_weights_card

LOG = logging.getLogger(__name__)
CARDS = Path(__file__).parent.parent / "weights"
HUB = "https://huggingface.co"
SAFE = (".safetensors", ".json", ".txt", ".model")  # pickles (.bin, .pt, .pth, .ckpt) are refused
NEEDED = ("config.json", "model.safetensors")


class WeightsError(RuntimeError):
    """Weights that cannot be had: what was tried, and which files to put where."""


def fetch_weights(
    *, weights: str, folder: Path | None, weights_out: Path, config_out: Path, pause_s: float = PAUSE_S
) -> None:
    """Write model.safetensors to `weights_out`, config.json to `config_out`, other files beside the first.

    folder     where the user has the files; nothing is fetched then
    The hub is $HF_ENDPOINT, or its public address. Raises WeightsError.
    """
    card = read_weights_card(CARDS / weights / "card.yaml")
    _check_names(weights, card.source.files)
    places = {"model.safetensors": Path(weights_out), "config.json": Path(config_out)}
    for file in card.source.files:
        target = places.get(file.name, Path(weights_out).parent / file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if folder is not None:
                _copy(Path(folder) / file.name, target, file)
            else:
                fetch([_source(card, file)], target, pause_s=pause_s)
            _check_content(file.name, target)
        except (DownloadError, WeightsError) as error:
            target.unlink(missing_ok=True)
            raise WeightsError(_message(weights, card, f"{file.name}: {error}", folder)) from None


def _check_names(weights: str, files: list[HubFile]) -> None:
    """Raises WeightsError where the card asks for a pickle, or leaves out what every reader needs."""
    for file in files:
        path = PurePosixPath(file.name)
        if path.suffix not in SAFE or path.is_absolute() or ".." in path.parts:
            raise WeightsError(
                f"weights/{weights}/card.yaml: {file.name}: expected a name ending in {', '.join(SAFE)}"
            )
    if absent := [name for name in NEEDED if name not in [file.name for file in files]]:
        raise WeightsError(f"weights/{weights}/card.yaml: source.files: {absent[0]} is missing")


def _source(card: WeightsCard, file: HubFile) -> File:
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    url = f"{hub}/{card.source.repo}/resolve/{card.source.revision}/{file.name}"
    return File(url=url, file=file.name, size=file.size, sha256=file.sha256, md5=None)


def _copy(source: Path, target: Path, file: HubFile) -> None:
    if not source.is_file():
        raise WeightsError(f"{source} is not there")
    shutil.copyfile(source, target)
    described = File(
        url=source.absolute().as_uri(), file=file.name, size=file.size, sha256=file.sha256, md5=None
    )
    if wrong := what_is_wrong(target, described):
        raise WeightsError(wrong)


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
    where = (
        f"of {folder}" if folder is not None else f"of {card.source.repo} at revision {card.source.revision}"
    )
    return "\n".join(
        [
            f"Weights {weights} ({card.title}) {where} cannot be used.",
            f"  {why}",
            f"Put {' and '.join(files)} into a folder and name it in config.yaml,",
            f"  folders: {{weights/{weights}: /path/to/it}}",
            "and run the command again. Files ending in .bin, .pt, .pth are not read: they may run code.",
        ]
    )
