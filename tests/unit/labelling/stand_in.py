"""A WordPiece tokenizer as `retake.layers.tokenizer` promises it, for as long as that module is not there."""

import sys
from importlib.util import find_spec
from types import ModuleType

from tokenizers import Tokenizer as Fast
from tokenizers import decoders, models, normalizers, pre_tokenizers


class Tokenizer:
    def __init__(self, files: dict[str, str]):
        words = {token: number for number, token in enumerate(files["vocab.txt"].splitlines())}
        self.fast = Fast(models.WordPiece(words, unk_token="[UNK]"))
        self.fast.normalizer = normalizers.BertNormalizer(lowercase=True)
        self.fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self.fast.decoder = decoders.WordPiece()
        self.specials = {words[f"[{name}]"] for name in ("PAD", "CLS", "SEP")}
        self.bos, self.eos, self.pad = (words[f"[{name}]"] for name in ("CLS", "SEP", "PAD"))

    def encode(self, text: str) -> list[int]:
        return self.fast.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.fast.decode([i for i in ids if i not in self.specials])


def stand_in() -> None:
    """Put it where the module belongs, if that is missing."""
    if "retake.layers.tokenizer" not in sys.modules and find_spec("retake.layers.tokenizer") is None:
        module = ModuleType("retake.layers.tokenizer")
        module.Tokenizer = Tokenizer
        sys.modules["retake.layers.tokenizer"] = module
