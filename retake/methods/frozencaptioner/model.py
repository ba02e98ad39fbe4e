"""FrozenCaptioner: a frozen language model says what a frozen video network sees; adapters between them are trained.

Letters  B captions, T frames, S places of a frame, C width of a token, L words, V vocabulary.
Source   sec. 4: eq. of the loss there; attention.py, adapters.py and language.py are its parts, search.py the search.
Ours     the loss is summed over words and divided by the number of words of the whole effective batch; the sentence
begins and ends with the language model's </s>; README.md has the rest.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.tokenizer import Tokenizer
from retake.methods.frozencaptioner.adapters import Adapters, gate_move
from retake.methods.frozencaptioner.attention import Keys, video_of
from retake.methods.frozencaptioner.language import Language
from retake.methods.frozencaptioner.search import search

PREPARED = ("tokenizer",)  # the files of the language model's
NOT_A_WORD = -100  # where a caption has ended
TOGETHER = 64  # captions of about one length that are read at once


class FrozenCaptioner(nn.Module):
    """Batch keys   features (B, T, S, C), tokens of the frozen video network; keep (B, T) bool;
    text_out, a caption a row, for the loss;
    same_as (B,) optional: the first row that shows the same video, which is then looked at once.
    """

    def __init__(
        self, *, language: dict[str, int], adapter_layers: list[int], feature_width: int, max_tokens: int,
        tokenizer: dict[str, str], **adapters: Any,
    ):  # fmt: skip
        super().__init__()
        count = language["layers"]
        if not adapter_layers or sorted(set(adapter_layers)) != adapter_layers or adapter_layers[-1] >= count:
            raise ValueError(f"adapter_layers: expected rising numbers below {count}, found {adapter_layers}")
        self.tokenizer, self.max_tokens, self.feature_width = Tokenizer(tokenizer), max_tokens, feature_width
        self.language = Language(language)
        if len(self.tokenizer) > language["words"]:
            have = f"{len(self.tokenizer)} tokens, the language model {language['words']}"
            raise ValueError(f"tokenizer: has {have}")
        self.adapters = Adapters(
            layers=adapter_layers, width=language["hidden"], key_width=feature_width, **adapters
        )

    def look(self, batch: dict[str, Any]) -> dict[int, Keys]:
        """By layer, what its adapter asks of each video of the batch; a video that several rows show once."""
        seen, where = self._videos(batch)
        return rows_of(seen, where)

    def _videos(self, batch: dict[str, Any]) -> tuple[dict[int, Keys], Tensor]:
        """What is asked of each distinct video, and which of these (B,) each row shows."""
        if "features" not in batch:
            raise ValueError(f"this model reads features, the batch has {sorted(batch)}: look at the bank")
        features, keep = batch["features"], batch["keep"]
        where = torch.arange(len(features), device=features.device)
        if "same_as" in batch:
            first, where = torch.unique(batch["same_as"], return_inverse=True)
            features, keep = features[first], keep[first]
        return self.adapters.look(video_of(features, keep, self.feature_width)), where

    def score(
        self, tokens: Tensor, keys: dict[int, Keys], cache: Any = None, asked: Tensor | None = None
    ) -> Tensor:
        """Scores (B, L, V) of the word after each of tokens (B, L), videos given; (N, V) of the N that are asked."""
        adapt = lambda layer, words: self.adapters(layer, words, keys)  # noqa: E731
        return self.language(tokens, adapt, first=self.adapters.first, cache=cache, asked=asked)

    def words(self, captions: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """What is read (B, L), from </s> on, and what is to be said after each (B, L), </s> at last.

        A caption of more than max_tokens tokens, its end counted, is cut and has no end.
        """
        said = [[*self.tokenizer.encode(c), self.tokenizer.eos][: self.max_tokens] for c in captions]
        longest, begin, pad = max(map(len, said)), self.tokenizer.bos, self.tokenizer.pad
        left = [longest - len(ids) for ids in said]
        before = [[begin, *ids[:-1], *[pad] * more] for ids, more in zip(said, left, strict=True)]
        say = [[*ids, *[NOT_A_WORD] * more] for ids, more in zip(said, left, strict=True)]
        return torch.tensor(before, device=device), torch.tensor(say, device=device)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over the words of the batch; `count` words. Raises ValueError where the language model would train."""
        if any(p.requires_grad for p in self.language.parameters()):
            raise ValueError("the language model is frozen: `trainable` may name adapters.* only")
        words, say = self.words(batch["text_out"], batch["keep"].device)  # (B, L)
        (keys, where), real = self._videos(batch), say != NOT_A_WORD
        nll = words.new_zeros((), dtype=torch.float32)
        for rows, length in alike(real.sum(dim=1)):
            seen = rows_of(keys, where[rows])
            asked = real[rows, :length]
            scores = self.score(words[rows, :length], seen, asked=asked)  # (N, V)
            nll = nll + cross_entropy(scores.float(), say[rows, :length][asked], reduction="sum")
        return {"total": nll, "count": real.sum().float()}

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:
        """A row {"text"} a video; protocol: beam (1 is greedy), max_len (tokens, the end counted)."""
        found = search(self, self.look(batch), beam=protocol["beam"], max_len=protocol["max_len"])
        return [{"text": self.tokenizer.decode(ids).strip()} for ids, _ in found]


def rows_of(keys: dict[int, Keys], rows: Tensor) -> dict[int, Keys]:
    """Of each layer's keys the rows that are asked for, in that order; all of them in theirs are not copied."""
    first = next(iter(keys.values()))[0]
    if len(rows) == len(first) and torch.equal(rows, torch.arange(len(rows), device=rows.device)):
        return keys
    return {layer: tuple(part.index_select(0, rows) for part in parts) for layer, parts in keys.items()}


def alike(lengths: Tensor) -> list[tuple[Tensor, int]]:
    """Rows of a batch by length, TOGETHER at a time, each time with the longest: what is padded is computed, too.

    No more than these stay in their order, so that nothing is moved.
    """
    if len(lengths) <= TOGETHER:
        return [(torch.arange(len(lengths), device=lengths.device), int(lengths.max()))]
    order = lengths.argsort(descending=True, stable=True)
    return [(rows, int(lengths[rows[0]])) for rows in order.split(TOGETHER)]


def training_metrics(before: dict[str, Tensor] | None, after: dict[str, Tensor]) -> dict[str, float]:
    """What a checkpoint tells of its training: how far the gates have moved (sec. 6: less than 0.05 in fine-tuning)."""
    return {"gate_move": gate_move(before, after)}


def build(
    *, language: dict[str, int], feature_width: int, adapter_layers: list[int], attention: str, latents: int,
    heads: int, head_width: int, ffn_factor: int, gate: str, gate_start: float, max_tokens: int,
    tokenizer: dict[str, str],
) -> FrozenCaptioner:  # fmt: skip
    """The one name the rest of the project imports from here. latents: of attention `perceiver` alone."""
    return FrozenCaptioner(
        language=language, feature_width=feature_width, adapter_layers=adapter_layers, attention=attention,
        latents=latents, heads=heads, head_width=head_width, ffn_factor=ffn_factor, gate=gate, gate_start=gate_start,
        max_tokens=max_tokens, tokenizer=tokenizer,
    )  # fmt: skip
