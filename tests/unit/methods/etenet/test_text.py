import subprocess
import sys

import pytest

from retake.methods.etenet.text import EOS, SPECIALS, UNK, Vocabulary, tokens_of, vocabulary_of


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man is playing a guitar.", "a man is playing a guitar"),
        ("Don't stop!", "do n't stop"),
        ("a well-known man's dog", "a well-known man 's dog"),
        ('he says "hello" ...', "he says hello"),
        ("3.5 eggs, (two)", "3.5 eggs two"),
        ("– — «x»", "«x»"),
    ],
)
def test_captions_become_lower_case_treebank_tokens_without_bare_punctuation(caption, words):
    assert tokens_of(caption) == tuple(words.split())


def test_the_vocabulary_is_ordered_by_count_then_by_name():
    words = vocabulary_of(["b a b", "c a b"], min_count=1, max_words=None)
    assert words == [*SPECIALS, "b", "a", "c"]
    assert vocabulary_of(["a c b", "b c"], min_count=1, max_words=None) == [*SPECIALS, "b", "c", "a"]


def test_rare_words_and_words_over_the_limit_are_left_out():
    captions = ["a a a b b c"]
    assert vocabulary_of(captions, min_count=2, max_words=None) == [*SPECIALS, "a", "b"]
    assert vocabulary_of(captions, min_count=1, max_words=1) == [*SPECIALS, "a"]
    with pytest.raises(ValueError, match="empty"):
        vocabulary_of(captions, min_count=9, max_words=None)


def test_a_caption_comes_back_from_its_numbers():
    vocabulary = Vocabulary([*SPECIALS, "a", "dog"])
    assert vocabulary.encode("A dog") == [3, 4, EOS]
    assert vocabulary.encode("a cat") == [3, UNK, EOS]
    assert vocabulary.decode([3, 4, EOS, 3]) == "a dog"


def test_a_list_that_is_no_vocabulary_is_refused():
    with pytest.raises(ValueError, match="begins with"):
        Vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="twice"):
        Vocabulary([*SPECIALS, "a", "a"])


def test_the_tokenizer_loads_no_statistics_and_leaves_them_importable():
    code = (
        "import sys\n"
        "from retake.methods.etenet.text import tokens_of\n"
        "tokens_of('a dog')\n"
        "print({'scipy', 'sklearn'} & sys.modules.keys())\n"
        "import scipy.stats\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
