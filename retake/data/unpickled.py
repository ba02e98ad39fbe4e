"""Tensors out of a file that torch.save wrote. The only place where a pickle is read, and nothing in it is run.

torch's restricted unpickler (weights_only) knows tensors and plain values; whatever else a file asks for ends it.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

HOLDERS = ("model_state", "state_dict", "model")  # keys under which a training's file keeps the tensors


class UnpickleError(RuntimeError):
    """A file that is no pickle of tensors, or that would run code if it were read as any pickle is."""


def unpickled(path: Path) -> dict[str, Any]:
    """The tensors by name of a file that torch.save wrote; of a training's file, those of its model.

    Nothing in it is run. Raises UnpickleError where it asks for more than tensors and plain values.
    """
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL |global: )([\w.]+)", str(error))
        wants = f"asks for {asked[1]}: it would run code" if asked else "is no pickle of tensors"
        raise UnpickleError(f"{wants}; refused, nothing of it was run") from None
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UnpickleError(f"cannot be read as pickled tensors ({str(error).splitlines()[0]})") from None
    for key in HOLDERS:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not isinstance(held, dict) or not held or not all(map(torch.is_tensor, held.values())):
        raise UnpickleError("holds no tensors by name")
    return dict(held)
