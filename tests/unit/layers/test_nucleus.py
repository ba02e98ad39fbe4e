"""Drawing tokens: what is kept and how often, against the library's own processors; and dice that stay one's own."""

import numpy as np
import pytest
import torch

from retake.layers.nucleus import draw, nucleus, penalised


def table(vocabulary: int = 7, seed: int = 0) -> torch.Tensor:
    """(V, V) logits: of the next token by the last one."""
    return 2 * torch.randn(vocabulary, vocabulary, generator=torch.Generator().manual_seed(seed))


def step_of(logits: torch.Tensor):
    return lambda new: logits[new[:, -1]]


@pytest.mark.parametrize(
    ("top_p", "top_k"), [(0.9, None), (0.5, None), (1.0, None), (0.9, 3), (1.0, 1), (1e-6, None)]
)
def test_tokens_come_as_often_as_the_librarys_warpers_let_them(top_p, top_k):
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    logits = table()[:3]
    expected = logits if top_k is None else TopKLogitsWarper(top_k)(None, logits)
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p < 1 else expected
    dice = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for row, shares in zip(logits, expected.double().softmax(dim=1), strict=True):
        drawn = draw(row.expand(len(dice), -1), dice, top_p, top_k)
        found = torch.bincount(drawn, minlength=len(row)) / len(dice)
        assert np.allclose(found, shares, atol=1e-4)
        assert ((found > 0) == (shares > 0)).all()


def test_a_nucleus_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.25, 0.05]]))
    kept = {top_p: {int(draw(logits, torch.tensor([d]).double(), top_p, None)) for d in np.linspace(0, 0.9999, 500)}
            for top_p in (0.4, 0.5, 0.6, 0.76, 0.96)}  # fmt: skip
    assert kept[0.4] == {0}
    assert kept[0.6] == {0, 2}
    assert kept[0.76] == {0, 1, 2}
    assert kept[0.96] == {0, 1, 2, 3}


def test_what_was_said_is_penalised_as_the_library_does():
    from transformers import RepetitionPenaltyLogitsProcessor

    logits = table(9, seed=1)[:4]
    said = torch.tensor([[0, 3, 3], [8, 1, 0], [2, 2, 2], [5, 6, 7]])
    assert torch.equal(
        penalised(logits, said, 1.3), RepetitionPenaltyLogitsProcessor(1.3)(said, logits.clone())
    )
    assert torch.equal(penalised(logits, said, 1.0), logits)


def test_a_sentence_hangs_on_its_own_seed_alone():
    logits = table(30)
    given = {"end": 0, "top_p": 0.9, "max_length": 12, "repetition_penalty": 1.1, "min_length": 4}
    begin = torch.tensor([[1, 2]])
    alone = [nucleus(step_of(logits), begin, [seed], **given)[0] for seed in range(20)]
    together = nucleus(step_of(logits), begin.repeat(20, 1), list(range(20)), **given)
    assert together == alone
    assert nucleus(step_of(logits), begin.repeat(20, 1), list(range(20))[::-1], **given) == alone[::-1]
    assert len({tuple(said) for said in alone}) > 15


def test_lengths_count_what_a_sentence_begins_with():
    ends = torch.full((5, 5), -5.0)
    ends[:, 0] = 20.0  # it would end at once
    begin = torch.tensor([[1, 2, 3]])
    given = {"end": 0, "top_p": 0.9, "max_length": 9}
    assert nucleus(step_of(ends), begin, [1], **given) == [[]]
    assert len(nucleus(step_of(ends), begin, [1], min_length=5, **given)[0]) == 2
    never = torch.zeros(5, 5)
    never[:, 0] = -torch.inf
    assert len(nucleus(step_of(never), begin, [1], **given)[0]) == 6
    assert nucleus(step_of(never), begin, [1], end=0, top_p=0.9, max_length=3) == [[]]


def test_after_the_first_call_a_step_is_given_one_token_a_sentence():
    seen = []
    logits = table(6)
    logits[:, 0] = -torch.inf

    def step(new):
        seen.append(new.tolist())
        return logits[new[:, -1]]

    said = nucleus(step, torch.tensor([[1, 2], [1, 2]]), [3, 4], end=0, top_p=0.9, max_length=5)
    assert seen[0] == [[1, 2], [1, 2]]
    assert seen[1:] == [[[a], [b]] for a, b in zip(*[row[:-1] for row in said], strict=True)]
