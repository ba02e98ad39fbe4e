"""The frozen language model: transformers' own to the bit, read whole or word by word."""

import pytest
import torch

from retake.methods.frozencaptioner.language import Language
from tests.unit.methods.frozencaptioner.small import LANGUAGE, published

PUBLISHED = {"hidden": 2048, "layers": 24, "heads": 32, "inner": 8192, "positions": 2048, "words": 50272}


def unchanged(layer, words):
    return words


@pytest.fixture
def language():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Language(LANGUAGE).eval()


@pytest.fixture
def tokens():
    torch.manual_seed(1)
    return torch.randint(0, 8, (3, 7))


@torch.no_grad()
def test_it_is_the_opt_of_transformers_to_the_bit(language, tokens):
    other = published(language)
    assert torch.equal(language(tokens, unchanged, first=12), other(tokens).logits)
    assert torch.equal(language(tokens, unchanged, first=0), other(tokens).logits)
    other.model.decoder.layers[23].fc2.bias.add_(1.0)
    assert not torch.equal(language(tokens, unchanged, first=0), other(tokens).logits)


@torch.no_grad()
def test_what_stands_behind_a_word_changes_nothing_at_it(language, tokens):
    padded = torch.cat([tokens[:, :4], torch.full((3, 3), 1)], dim=1)
    found = language(padded, unchanged, first=12)[:, :4]
    assert torch.allclose(found, language(tokens[:, :4], unchanged, first=12), atol=1e-6)


@torch.no_grad()
def test_word_by_word_it_says_what_it_says_of_the_whole(language, tokens):
    cache = language.cache()
    found = [language(tokens[:, n : n + 1], unchanged, first=12, cache=cache) for n in range(7)]
    assert torch.allclose(torch.cat(found, dim=1), language(tokens, unchanged, first=12), atol=1e-6)


def test_several_words_after_others_and_more_words_than_positions_are_refused(language, tokens):
    cache = language.cache()
    language(tokens[:, :1], unchanged, first=12, cache=cache)
    with pytest.raises(ValueError, match="after 1 words one is read at a time, not 2"):
        language(tokens[:, :2], unchanged, first=12, cache=cache)
    with pytest.raises(ValueError, match="14 words, the language model has 12 positions"):
        language(tokens.repeat(1, 2), unchanged, first=12)


def test_each_layer_from_the_first_adapter_on_is_adapted_before_it_reads(language, tokens):
    seen = []
    language(tokens, lambda layer, words: seen.append((layer, words.grad_fn)) or words, first=20)
    assert seen == [(20, None), (21, None), (22, None), (23, None)]


@torch.no_grad()
def test_what_an_adapter_makes_of_words_is_what_its_layer_reads(language, tokens):
    read = {}
    for number, layer in enumerate(language.model.decoder.layers):
        layer.register_forward_pre_hook(lambda m, given, n=number: read.update({n: given[0]}))
    language(tokens, lambda layer, words: words + 1 if layer == 14 else words, first=12)
    moved = dict(read)
    language(tokens, unchanged, first=12)
    assert torch.equal(moved[13], read[13])
    assert torch.equal(moved[14], read[14] + 1)


def test_it_has_the_published_size():
    with torch.device("meta"):
        language = Language(PUBLISHED)
    assert sum(p.numel() for p in language.parameters()) == 1_315_758_080
    assert not any(p.requires_grad for p in language.parameters())


@pytest.mark.parametrize(("change", "named"), [({"dropout": 0.1}, "dropout"), ({"inner": ...}, "inner")])
def test_a_size_that_is_missing_or_not_known_is_named(change, named):
    sizes = {name: value for name, value in (LANGUAGE | change).items() if value is not ...}
    with pytest.raises(ValueError, match=f"language: '{named}'"):
        Language(sizes)
