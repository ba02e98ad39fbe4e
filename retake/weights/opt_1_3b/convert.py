"""Names of OPT's published tensors, put right: the file was written by the decoder alone, or by the whole model."""

from torch import Tensor

INNER, OUTER = "decoder.", "model.decoder."
# the embedding once more; what is no weight
LEFT_OUT = ("lm_head.weight", "decoder.version", "model.decoder.version")


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the names of model.py's `Files`. Raises ValueError on one that is none of OPT's."""
    kept = {name: tensor for name, tensor in tensors.items() if name not in LEFT_OUT}
    renamed = {f"model.{name}" if name.startswith(INNER) else name: tensor for name, tensor in kept.items()}
    if odd := [name for name in renamed if not name.startswith(OUTER)]:
        raise ValueError(f"{odd[0]!r} is no name of OPT's")
    return renamed
