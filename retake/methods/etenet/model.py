"""EtENet: a video captioner whose frame encoder and caption decoder can be trained as one network.

Letters  B captions, T frames, C feature width, L words, V vocabulary, H W pixels.
Source   sec. 3; eq. (1) is the encoder, eqs. (18)-(20) the loss; the decoder is in decoder.py, the search
in beam.py.
Ours     the loss is summed per caption and divided by the number of captions of the whole effective batch
(README.md).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.backbone import PixelScale, over_frames, trunk
from retake.methods.etenet.beam import search
from retake.methods.etenet.decoder import Decoder
from retake.methods.etenet.text import EOS, SOS, SPECIALS, Vocabulary, vocabulary_of

PREPARED = ("vocabulary",)  # what `prepare` gives to `build`


class EtENet(nn.Module):
    """Batch keys   frames (B, 3, T, H, W) in [0, 1], or features (B, T, C) where `encoder` is None;
    keep (B, T) bool; text_out, a caption a row, for the loss;
    same_as (B,) optional: the first row that shows the same video, which is then encoded once.
    """

    def __init__(
        self, *, encoder: dict[str, Any] | None, vocabulary: list[str], dsa_weight: float, dsa_divisor: str,
        feature_width: int, **decoder: Any,
    ):  # fmt: skip
        super().__init__()
        if dsa_divisor not in ("frames", "features", "none"):
            raise ValueError(f"dsa_divisor must be frames, features or none, found {dsa_divisor!r}")
        self.vocabulary = Vocabulary(vocabulary)
        self.dsa_weight, self.dsa_divisor = dsa_weight, dsa_divisor
        self.encoder = None
        if encoder is not None:
            self.scale = PixelScale(encoder["mean"], encoder["std"])
            self.encoder = trunk(encoder["name"], encoder["arguments"])
        self.decoder = Decoder(vocabulary=len(vocabulary), feature_width=feature_width, **decoder)

    def features(self, batch: dict[str, Any]) -> Tensor:
        """(B, T, C). Raises ValueError if the batch holds frames and the model no encoder, or the other
        way.
        """
        key = "features" if self.encoder is None else "frames"
        if key not in batch:
            raise ValueError(
                f"this stage reads {key}, the batch has {sorted(batch)}: look at `encoder` and the view"
            )
        if self.encoder is None:
            return batch["features"]
        if "encoded" in batch:
            return batch["encoded"]
        if "same_as" not in batch:
            features = over_frames(self.encoder, self.scale, batch["frames"])  # eq. (1)
        else:
            first, where = torch.unique(batch["same_as"], return_inverse=True)
            features = over_frames(self.encoder, self.scale, batch["frames"][first])[where]
        if not torch.is_grad_enabled():  # a validation asks for losses and captions of one batch
            batch["encoded"] = features
        return features

    def words(self, captions: list[str], device: torch.device) -> Tensor:
        """Numbers (B, L) of the captions, each with its EOS; -1 after it."""
        numbers = [torch.tensor(self.vocabulary.encode(caption)) for caption in captions]
        return nn.utils.rnn.pad_sequence(numbers, batch_first=True, padding_value=-1).to(device)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over the captions of the batch; `count` captions."""
        words = self.words(batch["text_out"], batch["keep"].device)  # (B, L)
        before = torch.cat([torch.full_like(words[:, :1], SOS), words[:, :-1]], dim=1).clamp(min=EOS)
        logits, attention = self.decoder(self.features(batch), batch["keep"], before)
        nll = cross_entropy(
            logits.flatten(0, 1).float(), words.flatten(), ignore_index=-1, reduction="sum"
        )  # (18)
        spoken = (words >= 0).unsqueeze(-1)  # (B, L, 1): attention after the end does not count
        gap = (1 - (attention * spoken).sum(dim=1)).square() * batch["keep"]  # (B, T)
        dsa = (gap.sum(dim=1) / self._divisor(batch["keep"])).sum()  # eq. (19)
        total = nll + self.dsa_weight * dsa  # eq. (20)
        count = torch.tensor(float(len(words)), device=words.device)
        return {"total": total, "nll": nll.detach(), "dsa": dsa.detach(), "count": count}

    def _divisor(self, keep: Tensor) -> Tensor | int:
        """L of eq. (19): the frames kept, the width of a feature (the paper's words), or 1 (the ancestor)."""
        if self.dsa_divisor == "frames":
            return keep.sum(dim=1)
        return self.decoder.feature_width if self.dsa_divisor == "features" else 1

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:
        """A row {"text"} a video; protocol: beam (1 is greedy), max_len."""
        found = search(
            self.decoder,
            self.features(batch),
            batch["keep"],
            beam=protocol["beam"],
            max_len=protocol["max_len"],
        )
        return [{"text": self.vocabulary.decode(words)} for words, _ in found]


def prepare(rows: list[dict[str, Any]], sizes: dict[str, Any]) -> dict[str, Any]:
    """What the model needs of the training captions: its vocabulary."""
    captions = (row["text_out"] for row in rows)
    return {"vocabulary": vocabulary_of(captions, min_count=sizes["min_count"], max_words=sizes["max_words"])}


def build(
    *, encoder: dict[str, Any] | None, feature_width: int, embedding: int, hidden: int, attention: int,
    dropout: float, word_dropout: float, dsa_weight: float, dsa_divisor: str, min_count: int,
    max_words: int | None, vocabulary: list[str],
) -> EtENet:  # fmt: skip
    """The one name the rest of the project imports from here. min_count and max_words bound the vocabulary
    (prepare).
    """
    if max_words is not None and len(vocabulary) > max_words + len(SPECIALS):
        raise ValueError(
            f"the vocabulary has {len(vocabulary) - len(SPECIALS)} words, max_words is {max_words}"
        )
    if min_count < 1:
        raise ValueError(f"min_count must be positive, found {min_count}")
    return EtENet(
        encoder=encoder, feature_width=feature_width, embedding=embedding, hidden=hidden, attention=attention,
        dropout=dropout, word_dropout=word_dropout, dsa_weight=dsa_weight, dsa_divisor=dsa_divisor,
        vocabulary=vocabulary,
    )  # fmt: skip
