"""A labeller for tests: what it says hangs on the picture's colour and on its dice, and it is small enough to read.

A weights module as `retake.labelling.labeller.Captioner` describes it. Tensor `table` (3, V): the logits of colours.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from retake.layers.nucleus import nucleus

WORDS = ["<end>", "a", "picture", "of", "red", "green", "blue", "bright", "dark", "wall", "sky", "field"]


class Toy(torch.nn.Module):
    def __init__(self, fault: str | None):
        super().__init__()
        self.table = torch.nn.Parameter(torch.zeros(3, len(WORDS)))
        self.fault, self.passes = fault, []

    def check_size(self, size):
        if size % 4:
            raise ValueError(f"size: {size} px is no multiple of the patches' 4 px")

    def encode(self, pictures):
        self.passes.append(len(pictures))
        return pictures.mean(dim=(2, 3))

    def captions(self, encoded, seeds, prompt, **sampling):
        begin = torch.tensor([[WORDS.index(word) for word in prompt.split()]] * len(encoded)).long()
        step = lambda new: encoded.double() @ self.table.double()  # noqa: E731
        drawn = nucleus(step, begin, seeds, end=0, **sampling)
        said = [" ".join(WORDS[token] for token in row) for row in drawn]
        if self.fault is not None:  # what it says of every third picture
            said = [self.fault if seed % 3 == 0 else text for seed, text in zip(seeds, said, strict=True)]
        return said


def from_config(config, tokenizer):
    if config.get("model_type") != "toy":
        raise ValueError(f"model_type: expected 'toy', not {config.get('model_type')!r}")
    assert tokenizer == {"vocab.txt": "\n".join(WORDS)}
    return Toy(config.get("fault"))


def fill(network, tensors):
    if tensors.keys() != {"table"}:
        raise ValueError(f"another architecture: has {sorted(tensors)}")
    network.load_state_dict(tensors)


def write_toy(folder: Path, fault: str | None = None) -> dict:
    """The files of a weights folder, by the names of `write_pseudolabels`' arguments."""
    folder.mkdir(parents=True)
    table = 2 * torch.randn(3, len(WORDS), generator=torch.Generator().manual_seed(3))
    save_file({"table": table}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "toy", "fault": fault}))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    named = {"weights": "model.safetensors", "config": "config.json"}
    found = {key: folder / name for key, name in named.items()} | {"tokenizer": [folder / "vocab.txt"]}
    return found | {"weights_module": "tests.unit.labelling.toy"}
