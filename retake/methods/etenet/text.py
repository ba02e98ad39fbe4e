"""Captions to word numbers and back (sec. 4.2 of the paper: lower case, Treebank tokens, no bare
punctuation).
"""

import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

EOS, UNK, SOS = 0, 1, 2  # ends a caption; a word outside the vocabulary; stands before the first word
SPECIALS = ["<eos>", "<unk>", "<sos>"]


@lru_cache(maxsize=1)
def _tokenizer():
    """NLTK's Treebank tokenizer. NLTK loads SciPy and scikit-learn for its statistics where they are installed and
    does without where they are not; a training job that only cuts words would pay two seconds for them.
    """
    absent = [name for name in ("scipy", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # an import of them fails now, as if they were not installed
    try:
        from nltk.tokenize.treebank import TreebankWordTokenizer
    finally:
        for name in absent:
            del sys.modules[name]
    return TreebankWordTokenizer()


def _is_punctuation(token: str) -> bool:
    return all(c in string.punctuation or unicodedata.category(c).startswith("P") for c in token)


@lru_cache(maxsize=1_000_000)
def tokens_of(caption: str) -> tuple[str, ...]:
    """Words of a caption; punctuation inside a word stays, a token of nothing else goes."""
    return tuple(t for t in _tokenizer().tokenize(caption.lower()) if not _is_punctuation(t))


def vocabulary_of(captions: Iterable[str], *, min_count: int, max_words: int | None) -> list[str]:
    """The special words, then words by falling count and, within a count, in alphabetical order.

    min_count   a rarer word is left out     max_words   room for words beside the special ones; None: no
    limit Raises ValueError if no word is left.
    """
    counts = Counter(word for caption in captions for word in tokens_of(caption))
    words = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
    if not words:
        raise ValueError(
            f"no word occurs {min_count} times in the training captions: the vocabulary would be empty"
        )
    return SPECIALS + words[:max_words]


class Vocabulary:
    """Words and their numbers; the list itself is what a checkpoint stores."""

    def __init__(self, words: list[str]):
        if words[: len(SPECIALS)] != SPECIALS:
            raise ValueError(f"a vocabulary begins with {SPECIALS}, found {words[: len(SPECIALS)]}")
        if len(set(words)) != len(words):
            raise ValueError("a word stands twice in the vocabulary")
        self.words = words
        self.numbers = {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: str) -> list[int]:
        """Numbers of the caption's words, then EOS."""
        return [self.numbers.get(word, UNK) for word in tokens_of(caption)] + [EOS]

    def decode(self, numbers: Iterable[int]) -> str:
        """The words up to the first EOS, joined by blanks."""
        words = []
        for number in numbers:
            if number == EOS:
                break
            words.append(self.words[number])
        return " ".join(words)
