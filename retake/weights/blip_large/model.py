"""BLIP (Li et al., 2022): an image transformer, and a text decoder that attends to its patches and writes a caption.

Letters  B captions, N pictures, S side in pixels, P patches and one more, C width, L tokens, V vocabulary.
Files    those of the hub: config.json (model_type blip), model.safetensors, vocab.txt of BERT. A caption begins with
         [DEC] and ends with [SEP]; [DEC] and [ENC] are two tokens more than vocab.txt has lines.
Network  that of transformers; sentences are drawn by our own loop, whose dice are the sentence's own.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.backbone import PixelScale
from retake.layers.nucleus import nucleus

PREPARED = ("tokenizer",)  # what `prepare` gives to `build`
MEAN, STD = (
    [0.48145466, 0.4578275, 0.40821073],
    [0.26862954, 0.26130258, 0.27577711],
)  # preprocessor_config.json
VOCABULARY = "vocab.txt"
SPECIALS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
]  # as the mini vocabulary begins; BERT's has them, too
MORE = 2  # [DEC] and [ENC]
TIED = {  # a name -> the name of the tensor that it shares; the hub's file may have either
    "text_decoder.cls.predictions.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    "text_decoder.cls.predictions.decoder.bias": "text_decoder.cls.predictions.bias",
}
COUNTED = "position_ids"  # 0, 1, 2 ...: older files have it as a tensor
VISION = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "image_size",
    "patch_size",
)
TEXT = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
UNSAID = re.compile(r"""[.!"()*#:;~]""")  # signs that the authors' code takes out of captions that it learns
LARGE = 2**26  # numbers of a file that is not copied
INIT = 0.02  # of a network that is trained here


class Blip(nn.Module):
    """Batch keys   frames (B, 3, 1, S, S) in [0, 1]; text_out, a caption a row; same_as (B,) optional.

    config      as config.json has it
    tokenizer   file name -> content
    """

    def __init__(
        self,
        config: dict[str, Any],
        tokenizer: dict[str, str],
        *,
        prompt: str = "",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        from transformers import BlipConfig, BlipForConditionalGeneration  # seconds

        from retake.layers.tokenizer import Tokenizer

        self.tokenizer, self.tokenizer_files = Tokenizer(tokenizer), dict(tokenizer)
        self.prompt, self.label_smoothing = prompt, label_smoothing
        self.scale = PixelScale(MEAN, STD)
        self.network = BlipForConditionalGeneration(BlipConfig.from_dict(config))
        text = self.network.config.text_config
        self.begin, self.end, self.pad = text.bos_token_id, text.sep_token_id, text.pad_token_id
        self.longest = text.max_position_embeddings
        lines = len(tokenizer[VOCABULARY].split("\n")) - tokenizer[VOCABULARY].endswith("\n")
        if lines + MORE != text.vocab_size:
            raise ValueError(
                f"{VOCABULARY} has {lines} tokens; the network was made for {text.vocab_size - MORE}"
            )

    def tokens(self, text: str) -> list[int]:
        """Of a text alone, without begin and end."""
        around = {self.tokenizer.bos, self.tokenizer.eos, self.begin, self.end}
        return [token for token in self.tokenizer.encode(text) if token not in around]

    # -- answers

    def check_size(self, size: int) -> None:
        patch = self.network.config.vision_config.patch_size
        if size % patch:
            raise ValueError(f"size: {size} px is no multiple of the patches' {patch} px")

    def encode(self, pictures: Tensor) -> Tensor:
        """(N, P, C) of pictures (N, 3, S, S) in [0, 1]; positions are interpolated where S is another size."""
        vision = self.network.vision_model
        return vision(self.scale(pictures), interpolate_pos_encoding=True).last_hidden_state

    def captions(self, encoded: Tensor, seeds: list[int], prompt: str, **sampling: Any) -> list[str]:
        """A sentence for each of encoded (N, P, C), which begins with the prompt, without it."""
        begin = torch.tensor([[self.begin, *self.tokens(prompt)]], device=encoded.device).repeat(
            len(encoded), 1
        )
        cache = None

        def step(new: Tensor) -> Tensor:
            nonlocal cache
            said = self.network.text_decoder(
                new, encoder_hidden_states=encoded, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            cache = said.past_key_values
            return said.logits[:, -1]

        most = min(sampling.pop("max_length"), self.longest)
        drawn = nucleus(step, begin, seeds, end=self.end, max_length=most, **sampling)
        known = self.network.config.text_config.vocab_size - MORE  # [DEC] and [ENC] are no words
        return [self.tokenizer.decode([t for t in row if t < known]).strip() for row in drawn]

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:
        """A row {"text"} a picture: at each turn the likeliest token; protocol: max_len tokens after the prompt."""
        encoded = self.encode(batch["frames"][:, :, 0])
        most = 1 + len(self.tokens(self.prompt)) + protocol["max_len"]
        seeds = [0] * len(encoded)
        said = self.captions(encoded, seeds, self.prompt, top_p=1.0, top_k=1, max_length=most)
        return [{"text": text} for text in said]

    # -- training

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over tokens of the captions, the prompt's left out; `count` tokens."""
        frames = batch["frames"][:, :, 0]
        if "same_as" in batch:
            first, where = torch.unique(batch["same_as"], return_inverse=True)
            encoded = self.encode(frames[first])[where]
        else:
            encoded = self.encode(frames)
        words, learnt = self.rows(batch["text_out"], encoded.device)  # (B, L), (B, L)
        decoder = self.network.text_decoder
        mask, asked = (words != self.pad).long(), learnt[:, 1:]
        read = decoder.bert(
            words, attention_mask=mask, encoder_hidden_states=encoded, use_cache=False, is_decoder=True
        ).last_hidden_state
        told = decoder.cls(read[:, :-1][asked]).float()  # (N, V): the prompt and padding are told nothing
        wanted = words[:, 1:][asked]
        total = cross_entropy(told, wanted, reduction="sum", label_smoothing=self.label_smoothing)
        nll = cross_entropy(told.detach(), wanted, reduction="sum")
        return {"total": total, "nll": nll, "count": asked.sum().float()}

    def rows(self, captions: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """Tokens (B, L) of begin, prompt, caption and end, padded; and which of them are learnt."""
        head = [self.begin, *self.tokens(self.prompt)]
        said = ([*head, *self.tokens(cleaned(text))] for text in captions)
        rows = [[*row[: self.longest - 1], self.end] for row in said]
        words = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True, self.pad).to(device)
        learnt = words != self.pad
        learnt[:, : len(head)] = False
        return words, learnt


def cleaned(caption: str) -> str:
    """A caption as it is learnt: in lower case, without signs, one space between words."""
    return " ".join(UNSAID.sub(" ", caption.lower()).split())


def prepare(rows: list[dict[str, Any]], sizes: dict[str, Any]) -> dict[str, Any]:
    """vocab.txt: WordPiece of at most `vocabulary` tokens, trained on the rows' captions and the prompt."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.WordPiece(unk_token=SPECIALS[1]))
    made.normalizer, made.pre_tokenizer = (
        normalizers.BertNormalizer(lowercase=True),
        pre_tokenizers.BertPreTokenizer(),
    )
    texts = [sizes["prompt"], *(cleaned(row["text_out"]) for row in rows if row["text_out"])]
    normal = (made.normalizer.normalize_str(text) for text in texts)
    words = {word for text in normal for word, _ in made.pre_tokenizer.pre_tokenize_str(text)}
    # named beforehand, or the trainer numbers them in an order that is another each time, and so are its ties
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=sizes["vocabulary"], special_tokens=[*SPECIALS, *inner], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    ordered = sorted(made.get_vocab().items(), key=lambda one: one[1])
    return {"tokenizer": {VOCABULARY: "".join(f"{token}\n" for token, _ in ordered)}}


def build(
    *, vision: dict[str, Any], text: dict[str, Any], prompt: str, label_smoothing: float, vocabulary: int,
    tokenizer: dict[str, str],
) -> Blip:  # fmt: skip
    """vision, text: sizes by the names of config.json (VISION, TEXT); vocabulary bounds vocab.txt (prepare)."""
    lines = tokenizer[VOCABULARY].splitlines()
    if len(lines) > vocabulary:
        raise ValueError(f"{VOCABULARY} has {len(lines)} tokens, vocabulary is {vocabulary}")
    return Blip(config_of(vision, text, lines), tokenizer, prompt=prompt, label_smoothing=label_smoothing)


def config_of(vision: dict[str, Any], text: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    """config.json of these sizes. Raises ValueError on a size that is missing or unknown."""
    for what, given, names in (("vision", vision, VISION), ("text", text, TEXT)):
        if given.keys() != set(names):
            raise ValueError(f"{what}: expected {', '.join(names)}; found {', '.join(sorted(given))}")
    ids = {name: lines.index(token) for name, token in (("pad_token_id", "[PAD]"), ("sep_token_id", "[SEP]"))}
    ids |= {"bos_token_id": len(lines), "eos_token_id": ids["sep_token_id"], "vocab_size": len(lines) + MORE}
    return {
        "architectures": ["BlipForConditionalGeneration"],
        "model_type": "blip",
        "initializer_range": INIT,
        "vision_config": {**vision, "initializer_range": INIT, "model_type": "blip_vision_model"},
        "text_config": {
            **text,
            **ids,
            "encoder_hidden_size": vision["hidden_size"],
            "model_type": "blip_text_model",
        },
    }


def from_config(config: dict[str, Any], tokenizer: dict[str, str]) -> Blip:
    """The network that a weights folder's config.json describes, at random. Raises ValueError on another's."""
    if config.get("model_type") != "blip":
        raise ValueError(
            f"model_type: expected 'blip' (BlipForConditionalGeneration), not {config.get('model_type')!r}"
        )
    if VOCABULARY not in tokenizer:
        raise ValueError(f"{VOCABULARY} is missing; it says how text becomes tokens")
    return Blip(config, tokenizer)


def fill(model: Blip, tensors: dict[str, Tensor]) -> None:
    """Put a file's tensors into the network. Raises ValueError where names or shapes are those of another."""
    given = {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTED)}
    for one, other in TIED.items():
        shared = given.get(one, given.get(other))
        given |= {} if shared is None else {one: shared, other: shared}
    wanted = model.network.state_dict()
    if unknown := sorted(given.keys() - wanted.keys()):
        raise ValueError(
            f"another architecture: {len(unknown)} names that BLIP does not have, first {unknown[:3]}"
        )
    if missing := sorted(wanted.keys() - given.keys()):
        raise ValueError(
            f"another architecture: {len(missing)} of BLIP's tensors are not there, first {missing[:3]}"
        )
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, config.json says {tuple(wanted[name].shape)}"
            raise ValueError(f"{name!r} has shape {shapes}")
    alike = all(tensor.dtype == wanted[name].dtype for name, tensor in given.items())
    large = sum(tensor.numel() for tensor in given.values()) >= LARGE
    model.network.load_state_dict(given, assign=alike and large)  # read where it lies in the file, not copied


def published(model: Blip, sizes: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """Tensors, config and tokenizer files of a trained network, as the hub has them."""
    text = model.tokenizer_files[VOCABULARY]
    tensors = {name: tensor for name, tensor in model.network.state_dict().items() if name not in TIED}
    return tensors, config_of(sizes["vision"], sizes["text"], text.splitlines()), {VOCABULARY: text}
