"""Texts as numbers, by the files that published language models come with; no model is needed to read them.

bpe        vocab.json, merges.txt: byte-level pairs as of GPT-2 and OPT; every text has numbers
wordpiece  vocab.txt: lower case, as of BERT and BLIP; what it cannot spell is [UNK]
Text never gives a special token's number, whatever stands in it: who wants one puts it there.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer as Pieces
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

BPE, WORDPIECE = ("vocab.json", "merges.txt"), ("vocab.txt",)
VERSION = "#version: 0.2"  # the first line of merges.txt
# name of a token by its part; in training they take the first numbers in the order given, which is OPT's and BERT's
BPE_SPECIAL = {"unused": "<s>", "pad": "<pad>", "bos": "</s>", "unknown": "<unk>"}
WORDPIECE_SPECIAL = {"pad": "[PAD]", "unknown": "[UNK]", "bos": "[CLS]", "eos": "[SEP]", "mask": "[MASK]"}


class Tokenizer:
    """Reads and writes texts as `files` say: {file name: its text}.

    bos, eos, pad  numbers of the tokens that begin a text, end one and fill up: 2, 2, 1 with OPT's files
    Raises ValueError on files of neither kind, or without these tokens.
    """

    def __init__(self, files: Mapping[str, str]):
        if set(files) == set(BPE):
            special, self._pieces = BPE_SPECIAL, _bpe(files)
        elif set(files) == set(WORDPIECE):
            special, self._pieces = WORDPIECE_SPECIAL, _wordpiece(files)
        else:
            raise ValueError(
                f"tokenizer: expected {' and '.join(BPE)}, or {WORDPIECE[0]}; found {sorted(files)}"
            )
        self.bos, self.pad = self._number(special["bos"]), self._number(special["pad"])
        self.eos = self._number(special["eos"]) if "eos" in special else self.bos
        self._silent = {self._pieces.token_to_id(token) for token in special.values()}

    def _number(self, token: str) -> int:
        number = self._pieces.token_to_id(token)
        if number is None:
            raise ValueError(f"tokenizer: its vocabulary has no {token}")
        return number

    def __len__(self) -> int:
        return self._pieces.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The text's numbers, without beginning or end."""
        return self._pieces.encode(text, add_special_tokens=False).ids

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; special tokens are left out, wherever they stand. Raises ValueError on no token's."""
        kept = [number for number in numbers if number not in self._silent]
        if odd := [number for number in kept if self._pieces.id_to_token(number) is None]:
            raise ValueError(f"tokenizer: no token has number {odd[0]}; there are {len(self)}")
        return self._pieces.decode(kept, skip_special_tokens=False)


def _bpe(files: Mapping[str, str]) -> Pieces:
    vocab, (head, *lines) = json.loads(files[BPE[0]]), files[BPE[1]].splitlines()
    lines = lines if head.startswith("#version") else [head, *lines]
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=1):
        left, _, right = line.partition(" ")
        if line and not all(part in vocab for part in (left, right, left + right)):
            raise ValueError(f"tokenizer: {BPE[1]}: merge {number}: {line!r} is no pair of {BPE[0]}")
        merges += [(left, right)] if line else []
    pieces = Pieces(models.BPE(vocab=vocab, merges=merges))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    return pieces


def _wordpiece(files: Mapping[str, str]) -> Pieces:
    words = files[WORDPIECE[0]].splitlines()
    unknown = WORDPIECE_SPECIAL["unknown"]
    model = models.WordPiece(vocab={word: n for n, word in enumerate(words)}, unk_token=unknown)
    pieces = Pieces(model)
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece(cleanup=True)
    return pieces


def trained(texts: Sequence[str], num_tokens: int, kind: str = "bpe") -> dict[str, str]:
    """The files of a tokenizer of at most `num_tokens` (and all characters) learnt from `texts`.

    bpe        pairs, merged from the most frequent on
    wordpiece  every character, alone and within a word, then the most frequent words
    The same texts give the same files.
    """
    if kind == "wordpiece":
        return {WORDPIECE[0]: "".join(f"{word}\n" for word in _frequent(texts, num_tokens))}
    if kind != "bpe":
        raise ValueError(f"tokenizer: kind: expected bpe or wordpiece, found {kind!r}")
    pieces = Pieces(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens, special_tokens=[*BPE_SPECIAL.values()], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    pieces.train_from_iterator(texts, trainer)
    model = json.loads(pieces.to_str())["model"]
    vocab = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    return {BPE[0]: json.dumps(vocab, ensure_ascii=False), BPE[1]: f"{VERSION}\n{merges}"}


def _frequent(texts: Sequence[str], num_tokens: int) -> list[str]:
    """WordPiece's vocabulary; the library's own trainer numbers its tokens by chance."""
    lower, cut = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(lower.normalize_str(text)))
    letters = sorted({letter for word in words for letter in word})
    found = [*WORDPIECE_SPECIAL.values(), *letters, *(f"##{letter}" for letter in letters)]
    ranked = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    return found + ranked[: max(0, num_tokens - len(found))]
