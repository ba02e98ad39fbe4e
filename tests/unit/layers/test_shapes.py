import pytest
import torch

from retake.layers.shapes import expect


def test_letters_are_bound_to_sizes():
    assert expect(torch.zeros(2, 3, 8), "B 3 T") == {"B": 2, "T": 8}


@pytest.mark.parametrize(
    ("shape", "letters", "sizes"),
    [((2, 3), "B T C", {}), ((2, 4, 8), "B 3 T", {}), ((2, 3), "B T", {"T": 4}), ((2, 3), "N N", {})],
)
def test_another_shape_is_an_error_that_names_both(shape, letters, sizes):
    with pytest.raises(ValueError, match=r"expected a tensor of shape .*found \(2, "):
        expect(torch.zeros(shape), letters, **sizes)
