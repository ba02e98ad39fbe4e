"""Tensors out of pickled files. The only place where a pickle is read, and nothing in it is run.

What torch.save wrote is read by torch's restricted unpickler (weights_only), which knows tensors and plain values;
any other pickle by one of ours, which knows arrays, numbers, strings, lists and dicts. Whatever else a file asks for
ends it.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

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


def plain(path: Path) -> Any:
    """What a pickle holds that is made of arrays, numbers, strings, lists and dicts; of any Python's, 2 or 3.

    Nothing in it is run. Raises UnpickleError that names what else it asks for, or where else lies.
    """
    try:
        with Path(path).open("rb") as file:
            held = _Plain(file, encoding="latin1").load()
    except UnpickleError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken pickle fails in many ways
        raise UnpickleError(f"cannot be read as a pickle ({repr(error).splitlines()[0]})") from None
    _check_plain(held, "")
    return held


def blobs(path: Path) -> dict[str, Any]:
    """The tensors by name of a pickle with arrays under the key "blobs", or with arrays alone; numbers are left out.

    Raises UnpickleError as `plain` does, and where there are no arrays by name.
    """
    import torch

    held = plain(path)
    held = held.get("blobs", held) if isinstance(held, dict) else held
    arrays = {k: v for k, v in held.items() if isinstance(v, np.ndarray)} if isinstance(held, dict) else {}
    if not arrays or not all(isinstance(name, str) for name in arrays):
        raise UnpickleError("holds no arrays by name")
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _decoded(text: str, codec: str = "latin1") -> bytes:
    """How Python 3 writes bytes for a Python 2. Raises UnpickleError on another codec."""
    if codec not in ("latin1", "latin-1"):
        raise UnpickleError(f"asks for _codecs.encode with {codec!r}; refused, nothing of it was run")
    return text.encode("latin1")


def _array(kind: object, shape: tuple[int, ...], code: bytes | str) -> np.ndarray:  # noqa: ARG001 - as numpy calls it
    return np.empty(0, "b")  # its contents are set right after


def _buffered(values: bytes, kind: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(values, kind).reshape(shape, order="F" if order == "F" else "C")


def _number(kind: np.dtype, value: bytes | str) -> Any:
    return np.frombuffer(value.encode("latin1") if isinstance(value, str) else value, kind)[0].item()


def _nothing(*given: object) -> bytes:
    """How Python 3 writes bytes of length 0 for a Python 2. Raises UnpickleError on anything longer."""
    if given:
        raise UnpickleError("asks for bytes of something; refused, nothing of it was run")
    return b""


ASKED: dict[str, Any] = {  # all that a pickle may name
    "__builtin__.bytes": _nothing,
    "builtins.bytes": _nothing,
    "_codecs.encode": _decoded,
    "numpy.dtype": np.dtype,
    "numpy.ndarray": "an array",  # named only: arrays are made by those below
}
for _core in ("numpy.core", "numpy._core"):  # of numpy 1 and 2
    ASKED[f"{_core}.multiarray._reconstruct"] = _array
    ASKED[f"{_core}.multiarray.scalar"] = _number
    ASKED[f"{_core}.numeric._frombuffer"] = _buffered


class _Plain(pickle.Unpickler):  # noqa: S301 - find_class lets nothing through that does anything
    """Knows no class and no function but those of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (asked := f"{module}.{name}") not in ASKED:
            raise UnpickleError(f"asks for {asked}: it would run code; refused, nothing of it was run")
        return ASKED[asked]


def _check_plain(held: Any, where: str) -> None:
    """Raises UnpickleError that names the first value which is none of ours, and its place."""
    if isinstance(held, dict):
        for key, value in held.items():
            if not isinstance(key, str | int):
                raise UnpickleError(f"{where or 'the file'}: a key is of type {type(key).__name__}")
            _check_plain(value, f"{where}[{key!r}]")
    elif isinstance(held, list):
        for number, value in enumerate(held):
            _check_plain(value, f"{where}[{number}]")
    elif isinstance(held, np.ndarray):
        if held.dtype.kind not in "biufSU":
            raise UnpickleError(f"{where or 'the file'}: an array of {held.dtype}")
    elif not isinstance(held, bool | int | float | str | bytes):
        raise UnpickleError(f"{where or 'the file'}: a value of type {type(held).__name__}")
