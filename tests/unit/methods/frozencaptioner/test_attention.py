"""Each way of attending against loops that say the same in other words; what it costs, against what it asks."""

import math

import pytest
import torch

from retake.methods.frozencaptioner import attention
from retake.methods.frozencaptioner.attention import WAYS, Resampler, self_attention_pairs, video_of
from tests.unit.methods.frozencaptioner.small import C, videos

D, HEADS = 10, 2
SIZES = {"width": D, "key_width": C, "heads": HEADS, "head_width": 4}


def way_of(name):
    torch.manual_seed(3)
    return WAYS[name](**SIZES)


def asked(way, features, keep, words):
    return way(words, way.keys(way.pooled(video_of(features, keep, C))))


@pytest.fixture
def words():
    torch.manual_seed(5)
    return torch.randn(2, 4, D)


def normed(token, norm):
    spread = (token - token.mean()).square().mean()
    return (token - token.mean()) / torch.sqrt(spread + norm.eps) * norm.weight + norm.bias


def answered(part, word, tokens):
    """One word (D,) asks a list of tokens (C,): head by head, key by key."""
    keys = [normed(token, part.norm) for token in tokens]
    said = []
    for head in range(HEADS):
        rows = slice(4 * head, 4 * head + 4)
        query = part.query.weight[rows] @ word
        scores = [query @ (part.key.weight[rows] @ key) / math.sqrt(4) for key in keys]
        total = sum(math.exp(s) for s in scores)
        values = [part.value.weight[rows] @ key for key in keys]
        said.append(sum(math.exp(s) / total * v for s, v in zip(scores, values, strict=True)))
    return part.answer.weight @ torch.cat(said)


def separable(way, word, frames):
    """frames: a list of (S, C), those that are kept."""
    when = answered(way.over_time, word, [torch.stack([*frame]).max(dim=0).values for frame in frames])
    places = [torch.stack([frame[s] for frame in frames]).max(dim=0).values for s in range(len(frames[0]))]
    return way.join.weight @ torch.cat([when, answered(way.over_space, word, places)])


def axial(way, word, frames):
    where = sum(answered(way.over_space, word, list(frame)) for frame in frames) / len(frames)
    columns = [[frame[s] for frame in frames] for s in range(len(frames[0]))]
    when = sum(answered(way.over_time, word, column) for column in columns) / len(columns)
    return way.join.weight @ torch.cat([when, where])


def full(way, word, frames):
    return answered(way.attention, word, [token for frame in frames for token in frame])


@pytest.mark.parametrize(("name", "literal"), [("separable", separable), ("axial", axial), ("full", full)])
@torch.no_grad()
def test_each_way_is_what_loops_over_words_heads_and_keys_say(name, literal, words):
    way, (features, keep) = way_of(name), videos()
    for norm in (m for m in way.modules() if isinstance(m, torch.nn.LayerNorm)):
        norm.weight.normal_(1.0, 0.3)
        norm.bias.normal_(0.0, 0.3)
    found = asked(way, features, keep, words)
    assert found.shape == words.shape
    for video in range(2):
        frames = [frame for frame, kept in zip(features[video], keep[video], strict=True) if kept]
        for number in range(words.shape[1]):
            wanted = literal(way, words[video, number], frames)
            assert torch.allclose(found[video, number], wanted, atol=1e-5)


@torch.no_grad()
def test_the_time_branch_does_not_see_where_and_the_space_branch_does_not_see_when(words):
    way, (features, _) = way_of("separable"), videos()
    keep = torch.ones(2, 3, dtype=torch.bool)
    torch.manual_seed(8)
    moved = torch.stack([frame[torch.randperm(4)] for frame in features.flatten(0, 1)]).view_as(features)
    later = features[:, [2, 0, 1]]
    looks = [way.keys(way.pooled(video_of(f, keep, C))) for f in (features, moved, later)]
    when = [way.over_time(words, *keys[:3]) for keys in looks]
    where = [way.over_space(words, *keys[3:]) for keys in looks]
    assert torch.equal(when[1], when[0])  # each frame's places moved on their own
    assert not torch.allclose(where[1], where[0], atol=1e-3)
    assert torch.equal(where[2], where[0])
    assert torch.allclose(when[2], when[0], atol=1e-6)  # keys have no order, either
    assert not torch.equal(looks[2][0], looks[0][0])


@pytest.mark.parametrize("name", ["separable", "axial", "full", "perceiver"])
@torch.no_grad()
def test_what_stands_on_padded_frames_is_never_read(name, words):
    way, (features, keep) = way_of(name), videos()
    for value in (7.0, float("nan")):
        other = features.clone()
        other[~keep] = value
        assert torch.equal(asked(way, other, keep, words), asked(way, features, keep, words))
    alone = asked(way, features[1:, :2], keep[1:, :2], words[1:])
    assert torch.allclose(alone[0], asked(way, features, keep, words)[1], atol=1e-6)


def test_a_video_without_a_frame_and_another_width_are_refused():
    features, keep = videos()
    keep[1] = False
    with pytest.raises(ValueError, match="a video in the batch keeps no frame"):
        video_of(features, keep, C)
    with pytest.raises(ValueError, match=r"shape \(B, T, S, C=7\)"):
        video_of(features, keep, 7)


def resampler(latents=5):
    torch.manual_seed(4)
    return Resampler(width=C, latents=latents, heads=2, head_width=3, ffn_factor=4)


@torch.no_grad()
def test_latents_hear_every_kept_token_and_are_all_that_is_left():
    net, (features, keep) = resampler(), videos()
    video = video_of(features, keep, C)
    found, kept = net(video)
    assert found.shape == (2, 1, 5, C)
    assert kept.tolist() == [[True], [True]]
    for frame, place in ((0, 0), (1, 3)):
        other = features.clone()
        other[1, frame, place, 0] += 1
        assert not torch.allclose(net(video_of(other, keep, C)).tokens[1], found[1], atol=1e-4)
    padded = features.clone()
    padded[1, 2, :, 0] += 1
    assert torch.equal(net(video_of(padded, keep, C)).tokens, found)
    shuffled = features.flatten(1, 2)[:, torch.randperm(12)].view_as(features)
    same = net(video_of(shuffled, torch.ones(2, 3, dtype=torch.bool), C)).tokens[0]
    assert torch.allclose(same, found[0], atol=1e-5)


class Count:
    """Stands in for the attention of torch and adds up the scores that it would make for one head."""

    def __init__(self, monkeypatch):
        self.scores, real = 0, attention.scaled_dot_product_attention

        def counted(query, keys, values, attn_mask=None):
            self.scores += math.prod(keys.shape[:-3]) * query.shape[-2] * keys.shape[-2]
            return real(query, keys, values, attn_mask=attn_mask)

        monkeypatch.setattr(attention, "scaled_dot_product_attention", counted)


@pytest.mark.parametrize("name", ["separable", "axial", "full"])
@torch.no_grad()
def test_pairs_are_those_that_are_really_asked(name, monkeypatch):
    counted, way = Count(monkeypatch), way_of(name)
    features, keep = torch.randn(1, 5, 7, C), torch.ones(1, 5, dtype=torch.bool)
    asked(way, features, keep, torch.randn(1, 3, D))
    assert counted.scores == way.pairs(3, 5, 7)


@torch.no_grad()
def test_pairs_of_the_resampler_are_those_that_are_really_asked(monkeypatch):
    counted, net = Count(monkeypatch), resampler()
    net(video_of(torch.randn(1, 5, 7, C), torch.ones(1, 5, dtype=torch.bool), C))
    assert counted.scores == net.pairs(5, 7) == 5 * 35


def test_at_16_frames_of_400_places_the_papers_numbers_come_out():
    assert self_attention_pairs("full", 16, 400) == 40_960_000
    assert self_attention_pairs("separable", 16, 400) == 2_662_400
    assert WAYS["full"].pairs(1, 16, 400) == 6_400
    assert WAYS["separable"].pairs(1, 16, 400) == 416
    assert WAYS["axial"].pairs(1, 16, 400) == 2 * 6_400
    with pytest.raises(ValueError, match="expected full or separable, found 'axial'"):
        self_attention_pairs("axial", 16, 400)


def test_self_attention_is_counted_as_pairs_of_tokens_that_share_a_frame_or_a_place():
    tokens = [(t, s) for t in range(3) for s in range(5)]
    time = sum(a[1] == b[1] for a in tokens for b in tokens)
    space = sum(a[0] == b[0] for a in tokens for b in tokens)
    assert self_attention_pairs("separable", 3, 5) == time + space
    assert self_attention_pairs("full", 3, 5) == len(tokens) ** 2


def test_a_video_without_padded_frames_is_not_copied():
    features, keep = torch.randn(2, 3, 4, C), torch.ones(2, 3, dtype=torch.bool)
    assert video_of(features, keep, C).tokens is features
    keep[1, 2] = False
    tokens = video_of(features, keep, C).tokens
    assert torch.equal(tokens[0], features[0])
    assert torch.equal(tokens[1, :2], features[1, :2])
    assert not tokens[1, 2].any()
