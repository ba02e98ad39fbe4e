"""The search against an exhaustive one over a vocabulary small enough for it."""

from itertools import product

import pytest
import torch

from retake.methods.frozencaptioner.search import search
from tests.unit.methods.frozencaptioner.small import LANGUAGE, captioner, videos

END, WORDS = 2, [0, 3, 4, 5, 6]  # 1 is padding; 7 is a row of the language model that no token has


@pytest.fixture(scope="module")
def model():
    """Sharp enough that greedy and best differ, and sentences of more than a word or two."""
    sizes = {"language": LANGUAGE | {"layers": 4}, "adapter_layers": [1, 3], "gate_start": 1.0}
    model = captioner(**sizes)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data = torch.randn_like(parameter) * 0.35
    return model


@pytest.fixture(scope="module")
def seen():
    features, keep = videos(num=4)
    return {"features": features * 3, "keep": keep}


def found(model, seen, **asked):
    with torch.no_grad():
        return search(model, model.look(seen), **asked)


@torch.no_grad()
def log_prob(model, seen, item, words):
    """Sum of the words' log-probabilities, the whole sentence read at once. words may end in END."""
    one = {name: part[item : item + 1] for name, part in seen.items()}
    logits = model.score(torch.tensor([[END, *words[:-1]]]), model.look(one))
    return logits[0].log_softmax(dim=1)[torch.arange(len(words)), torch.tensor(words)].sum().item()


@torch.no_grad()
def log_probs(model, seen, item, sentences):
    """The same of many sentences, padded behind to one length."""
    longest = max(map(len, sentences))
    said = torch.tensor([[*words, *[END] * (longest - len(words))] for words in sentences])
    read = torch.cat([torch.full_like(said[:, :1], END), said[:, :-1]], dim=1)
    many = {name: part[item : item + 1].expand(len(said), *part.shape[1:]) for name, part in seen.items()}
    each = model.score(read, model.look(many)).log_softmax(dim=2).gather(2, said.unsqueeze(2)).squeeze(2)
    return [row[: len(words)].sum().item() for row, words in zip(each, sentences, strict=True)]


def every_sentence(max_len):
    for length in range(max_len):
        yield from ([*words, END] for words in product(WORDS, repeat=length))
    yield from (list(words) for words in product(WORDS, repeat=max_len))


def test_the_cases_are_hard_enough_that_greedy_is_not_best_and_beams_cross(model, seen):
    best, greedy = (found(model, seen, beam=beam, max_len=3) for beam in (200, 1))
    assert any(b[0] != g[0] for b, g in zip(best, greedy, strict=True))
    assert max(len(words) for words, _ in best) > 1
    assert len({tuple(words) for words, _ in best}) > 1


def test_a_beam_wide_enough_for_all_finds_the_best_sentence_of_all(model, seen):
    for item, (words, score) in enumerate(found(model, seen, beam=200, max_len=3)):
        sentences = list(every_sentence(3))
        scores = log_probs(model, seen, item, sentences)
        best = max(range(len(scores)), key=scores.__getitem__)
        assert words == [w for w in sentences[best] if w != END]
        assert score == pytest.approx(scores[best], abs=1e-4)
        assert scores[7] == pytest.approx(log_prob(model, seen, item, sentences[7]), abs=1e-4)


@torch.no_grad()
def test_a_beam_of_one_is_greedy(model, seen):
    for item, (words, _) in enumerate(found(model, seen, beam=1, max_len=6)):
        one = {name: part[item : item + 1] for name, part in seen.items()}
        greedy = [END]
        while len(greedy) <= 6:
            logits = model.score(torch.tensor([greedy]), model.look(one))[0, -1]
            best = max([END, *WORDS], key=lambda w, logits=logits: logits[w].item())
            if best == END:
                break
            greedy.append(best)
        assert words == greedy[1:]


def reference(model, seen, item, *, beam, max_len):
    """One video, plainly: lists, whole sentences; one that ends spends its place."""
    live, ended = [([], 0.0)], []
    for _ in range(max_len):
        grown = [([*w, n], log_prob(model, seen, item, [*w, n])) for w, _ in live for n in [END, *WORDS]]
        best = sorted(grown, key=lambda h: -h[1])[: beam - len(ended)]
        ended += [h for h in best if h[0][-1] == END]
        live = [h for h in best if h[0][-1] != END]
        if not live:
            break
    return max(ended + live, key=lambda h: h[1])


@pytest.mark.parametrize("beam", [2, 3])
def test_a_sentence_that_ends_spends_its_place_in_the_beam(model, seen, beam):
    for item, (words, score) in enumerate(found(model, seen, beam=beam, max_len=5)):
        wanted, best = reference(model, seen, item, beam=beam, max_len=5)
        assert words == [w for w in wanted if w != END]
        assert score == pytest.approx(best, abs=1e-4)


def test_videos_of_a_batch_do_not_disturb_each_other(model, seen):
    together = found(model, seen, beam=3, max_len=6)
    alone = [
        found(model, {name: part[n : n + 1] for name, part in seen.items()}, beam=3, max_len=6)[0]
        for n in range(4)
    ]
    assert [words for words, _ in together] == [words for words, _ in alone]


def test_padding_and_numbers_without_a_token_are_never_said(model, seen):
    decoder = model.language.model.decoder
    with torch.no_grad():
        rows = decoder.embed_tokens.weight[[1, 7]].clone()
        try:
            for row in (1, 7):  # at once the likeliest words of all, wherever they stand
                decoder.embed_tokens.weight[row] = 50 * decoder.embed_tokens.weight[4].sign()
            said = [words for words, _ in found(model, seen, beam=3, max_len=6)]
        finally:
            decoder.embed_tokens.weight[[1, 7]] = rows
    assert not {1, 7} & {word for words in said for word in words}


def test_a_beam_without_room_is_refused(model, seen):
    with pytest.raises(ValueError, match="positive"):
        found(model, seen, beam=0, max_len=3)
