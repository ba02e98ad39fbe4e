"""A labeller: the frozen network of a weights folder, how it is asked, and what it says of itself."""

import json
from collections.abc import Sequence
from hashlib import file_digest
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from retake.labelling.clips import Clip, stacked
from retake.labelling.judging import wrong_with
from retake.schema.labels import Labeller
from retake.schema.record import digest_of
from retake.training.checkpoint import Undrawn, read_tensors
from retake.training.devices import autocast, deterministic

SAMPLING = ("top_p", "top_k", "repetition_penalty", "min_length", "max_length")


class Captioner:
    """A weights module that captions pictures has

    from_config(config, tokenizer)   the network at random; ValueError where config describes another architecture
    fill(network, tensors)           fills it; ValueError where the names or shapes are not its own
    and the network
    check_size(size)                 ValueError where it cannot be shown pictures of so many pixels
    encode(pictures (N, 3, S, S) in [0, 1])          what it makes of them
    captions(encoded, seeds, prompt, **sampling)     a sentence a picture, the prompt taken off
    """

    def __init__(
        self,
        name: str,
        weights_module: str,
        spec: Labeller,
        weights: Path,
        config: Path,
        tokenizer: Sequence[Path],
    ):
        """Raises ValueError that names the file which does not fit, FileNotFoundError where one is missing."""
        deterministic()
        self.name, self.spec = name, spec
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        module = import_module(weights_module)
        files = {path.name: path.read_text(encoding="utf-8") for path in tokenizer}
        try:
            described = json.loads(Path(config).read_text(encoding="utf-8"))
            with Undrawn():
                self.network = module.from_config(described, files)
            self.network.check_size(spec.size)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{config}: {error}") from None
        try:
            module.fill(self.network, read_tensors(Path(weights))[0])
        except ValueError as error:
            raise ValueError(f"{weights}: {str(error).removeprefix(f'{weights}: ')}") from None
        self.network.to(self.device).eval()

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> Any:
        with autocast(self.device, self.spec.precision):
            return self.network.encode(stacked([clip.picture for clip in clips], self.device))

    @torch.no_grad()
    def say(self, clips: Sequence[Clip], encoded: Any) -> list[dict[str, Any]]:
        """A row a clip: where it is, and its caption, or the reason why there is none."""
        spec = self.spec
        seeds = [seed_of(spec.seed, clip) for clip in clips]
        sampling = {key: getattr(spec, key) for key in SAMPLING}
        with autocast(self.device, spec.precision):
            said = self.network.captions(encoded, seeds, spec.prompt, **sampling)
        rows = []
        for clip, caption in zip(clips, said, strict=True):
            wrong = wrong_with(caption, spec.prompt, spec.max_repeats)
            told = {"caption": caption} if wrong is None else {"reason": wrong}
            rows.append({key: value for key, value in clip._asdict().items() if key != "picture"} | told)
        return rows


def seed_of(seed: int, clip: Clip) -> int:
    """Of a clip's sampling: by the labeller's seed, the video and the start alone, so that batches do not matter."""
    return int(digest_of([seed, clip.video_id, round(clip.start_s, 6)])[:15], 16)


def about(name: str, spec: Labeller, weights: Path) -> dict[str, Any]:
    """What a label says of its origin: the labeller, the sha256 of its weights, and how it was asked."""
    with Path(weights).open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    return {"model": {"labeller": name, "weights": spec.weights, "sha256": sha256}, "sampling": spec.asked()}
