"""Say a tensor's shape in letters, and fail in the same letters."""

from torch import Tensor


def expect(tensor: Tensor, letters: str, **sizes: int) -> dict[str, int]:
    """Bind each letter of `letters` to a size; a digit, or a letter given in `sizes`, must match.

    expect(zeros(2, 3, 8), "B 3 T") is {"B": 2, "T": 8}. A letter that stands twice must have one size.
    Raises ValueError with the whole expected and found shape.
    """
    names = letters.split()
    fits = len(names) == tensor.ndim
    bound = dict(sizes)
    for name, size in zip(names, tensor.shape, strict=False):
        fits = fits and size == (int(name) if name.isdigit() else bound.setdefault(name, size))
    if not fits:
        asked = ", ".join(f"{n}={sizes[n]}" if n in sizes else n for n in names)
        raise ValueError(f"expected a tensor of shape ({asked}), found {tuple(tensor.shape)}")
    return {n: bound[n] for n in names if not n.isdigit()}
