"""Beam search against an exhaustive search over a vocabulary small enough for one."""

from itertools import product

import pytest
import torch

from retake.methods.etenet.beam import search
from retake.methods.etenet.decoder import Decoder
from retake.methods.etenet.text import EOS, SOS

WORDS = [3, 4, 5]  # beside the special ones
C = 4


@pytest.fixture
def decoder():
    torch.manual_seed(2)
    decoder = Decoder(
        vocabulary=6, feature_width=C, embedding=4, hidden=5, attention=3, dropout=0.0, word_dropout=0.0
    )
    for parameter in decoder.parameters():
        parameter.data *= 2  # sharp enough that greedy and best differ
    decoder.predict_word.bias.data[EOS] -= 3  # and captions of more than a word or two
    return decoder.eval()


@pytest.fixture
def videos():
    torch.manual_seed(4)
    return torch.randn(5, 3, C) * 3, torch.tensor([[True, True, i != 1] for i in range(5)])


@torch.no_grad()
def log_prob(decoder, features, keep, words):
    """Sum over the words of their log-probability, teacher-forced. words may end in EOS."""
    logits, _ = decoder(features[None], keep[None], torch.tensor([[SOS, *words[:-1]]]))
    return logits[0].log_softmax(dim=1)[torch.arange(len(words)), torch.tensor(words)].sum().item()


def every_caption(max_len):
    for length in range(max_len):
        yield from ([*words, EOS] for words in product(WORDS, repeat=length))
    yield from (list(words) for words in product(WORDS, repeat=max_len))


@torch.no_grad()
def test_the_cases_are_hard_enough_that_greedy_is_not_best_and_beams_cross(decoder, videos):
    best, greedy = (search(decoder, *videos, beam=beam, max_len=4) for beam in (200, 1))
    assert any(b[0] != g[0] for b, g in zip(best, greedy, strict=True))
    assert max(len(words) for words, _ in best) > 2


@torch.no_grad()
def test_a_beam_wide_enough_for_all_finds_the_best_caption_of_all(decoder, videos):
    found = search(decoder, *videos, beam=200, max_len=4)
    for (words, score), features, keep in zip(found, *videos, strict=True):
        scores = {tuple(c): log_prob(decoder, features, keep, c) for c in every_caption(4)}
        best = max(scores, key=scores.get)
        assert words == [w for w in best if w != EOS]
        assert score == pytest.approx(scores[best], abs=1e-4)


@torch.no_grad()
def test_a_beam_of_one_is_greedy(decoder, videos):
    found = search(decoder, *videos, beam=1, max_len=6)
    for (words, _), features, keep in zip(found, *videos, strict=True):
        greedy = [SOS]
        while len(greedy) <= 6:
            logits = decoder(features[None], keep[None], torch.tensor([greedy]))[0][0, -1]
            best = max([EOS, *WORDS], key=lambda w, logits=logits: logits[w].item())
            if best == EOS:
                break
            greedy.append(best)
        assert words == greedy[1:]


@torch.no_grad()
def test_the_score_is_the_sum_of_log_probabilities_without_length_normalisation(decoder, videos):
    for (words, score), features, keep in zip(
        search(decoder, *videos, beam=3, max_len=5), *videos, strict=True
    ):
        said = words if len(words) == 5 else [*words, EOS]
        assert score == pytest.approx(log_prob(decoder, features, keep, said), abs=1e-4)


def reference(decoder, features, keep, *, beam, max_len):
    """One video, plainly: lists, teacher-forced scores; a hypothesis that ends spends its place."""
    live, ended = [([], 0.0)], []
    for _ in range(max_len):
        grown = [
            ([*w, n], log_prob(decoder, features, keep, [*w, n])) for w, _ in live for n in [EOS, *WORDS]
        ]
        best = sorted(grown, key=lambda h: -h[1])[: beam - len(ended)]
        ended += [h for h in best if h[0][-1] == EOS]
        live = [h for h in best if h[0][-1] != EOS]
        if not live:
            break
    return max(ended + live, key=lambda h: h[1])


@pytest.mark.parametrize("beam", [2, 3])
def test_a_hypothesis_that_ends_spends_its_place_in_the_beam(decoder, videos, beam):
    found = search(decoder, *videos, beam=beam, max_len=5)
    for (words, score), features, keep in zip(found, *videos, strict=True):
        wanted, best = reference(decoder, features, keep, beam=beam, max_len=5)
        assert words == [w for w in wanted if w != EOS]
        assert score == pytest.approx(best, abs=1e-4)


@torch.no_grad()
def test_videos_of_a_batch_do_not_disturb_each_other(decoder, videos):
    together = search(decoder, *videos, beam=3, max_len=6)
    alone = [search(decoder, f[None], k[None], beam=3, max_len=6)[0] for f, k in zip(*videos, strict=True)]
    assert [words for words, _ in together] == [words for words, _ in alone]


def test_a_beam_without_room_is_refused(decoder, videos):
    with pytest.raises(ValueError, match="positive"):
        search(decoder, *videos, beam=0, max_len=3)
