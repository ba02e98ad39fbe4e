"""Plain pickles: what Python 2 and 3 write of arrays is read; whatever else they hold is refused by its name."""

import collections
import pickle
import struct

import numpy as np
import pytest

from retake.data.unpickled import UnpickleError, blobs, plain

HELD = {
    "blobs": {
        "conv1_w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "swapped": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 4), np.int64),
        "lr": 0.5,
        "model_iter": np.float64(7.0),
    },
    "cfg": "MODEL: x",
    "list": [1, True, "a"],
}


def write(tmp_path, held, protocol=2):
    path = tmp_path / "held.pkl"
    path.write_bytes(held if isinstance(held, bytes) else pickle.dumps(held, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_numbers_strings_lists_and_dicts_are_read(tmp_path, protocol):
    found = plain(write(tmp_path, HELD, protocol))
    assert found["list"] == [1, True, "a"]
    assert (found["cfg"], found["blobs"]["lr"], found["blobs"]["model_iter"]) == ("MODEL: x", 0.5, 7.0)
    for name in ("conv1_w", "swapped", "empty"):
        wanted = HELD["blobs"][name]
        assert found["blobs"][name].dtype == wanted.dtype
        assert np.array_equal(found["blobs"][name], wanted)


def of_python_2(values: np.ndarray) -> bytes:
    """{"w": array} as a Python 2 writes it: names and contents are its strings of bytes."""

    def text(value: bytes) -> bytes:
        return pickle.BINSTRING + struct.pack("<i", len(value)) + value

    shape = b"".join(pickle.BININT + struct.pack("<i", side) for side in values.shape)
    made = pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n" + pickle.GLOBAL + b"numpy\nndarray\n"
    made += pickle.MARK + pickle.BININT1 + b"\0" + pickle.TUPLE + text(b"b") + pickle.TUPLE3 + pickle.REDUCE
    kind = pickle.GLOBAL + b"numpy\ndtype\n" + text(b"f4") + pickle.BININT1 + b"\0" + pickle.BININT1 + b"\1"
    kind += pickle.TUPLE3 + pickle.REDUCE
    none = pickle.NONE * 3 + pickle.BININT + struct.pack("<i", -1) * 1
    kind += pickle.MARK + pickle.BININT1 + b"\3" + text(b"<") + none + none[-5:] + pickle.BININT1 + b"\0"
    kind += pickle.TUPLE + pickle.BUILD
    state = pickle.MARK + pickle.BININT1 + b"\1" + pickle.MARK + shape + pickle.TUPLE + kind
    state += pickle.NEWFALSE + text(values.astype("<f4").tobytes()) + pickle.TUPLE + pickle.BUILD
    return pickle.PROTO + b"\2" + pickle.EMPTY_DICT + text(b"w") + made + state + pickle.SETITEM + pickle.STOP


def test_what_a_python_2_wrote_is_read(tmp_path):
    values = np.array([[1.5, -2.0], [0.25, 1e-30]], np.float32)  # bytes of all kinds, none of them text
    found = plain(write(tmp_path, of_python_2(values)))
    assert np.array_equal(found["w"], values)


def test_blobs_are_the_arrays_as_tensors_that_can_be_written(tmp_path):
    found = blobs(write(tmp_path, HELD))
    assert sorted(found) == ["conv1_w", "empty", "swapped"]
    assert found["swapped"].tolist() == [[0, 1, 2], [3, 4, 5]]
    found["conv1_w"] += 1
    assert blobs(write(tmp_path, HELD["blobs"]))["conv1_w"].tolist() == [[0, 1, 2], [3, 4, 5]]


class RunsCode:
    def __init__(self, function, *arguments):
        self.asked = function, arguments

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (
            RunsCode(exec, "open('ran', 'w')"),
            r"asks for (builtins|__builtin__)\.exec: it would run code; refused",
        ),
        ({"a": [RunsCode(print, "x")]}, r"asks for (builtins|__builtin__)\.print"),
        (collections.OrderedDict(a=1), r"asks for collections\.OrderedDict"),
        (RunsCode(np.load, "x"), r"asks for numpy\.load"),
        ({"a": {1, 2}}, r"asks for (builtins|__builtin__)\.set|a value of type set"),
        ({"a": [1, (2, 3)]}, r"\['a'\]\[1\]: a value of type tuple"),
        ({"a": None}, r"\['a'\]: a value of type NoneType"),
        ({"a": 1j}, r"asks for (builtins|__builtin__)\.complex"),
        ({(1, 2): 3}, "the file: a key is of type tuple"),
        ({"a": np.array([None, "x"], dtype=object)}, r"\['a'\]: an array of object"),
        ({"a": np.ndarray}, None),
    ],
    ids=["exec", "inside", "ordered", "load", "set", "tuple", "none", "complex", "key", "objects", "class"],
)
def test_anything_else_is_refused_by_its_name(tmp_path, monkeypatch, held, said):
    monkeypatch.chdir(tmp_path)
    if said is None:  # the class of arrays may be named, and is nothing that could be called
        assert plain(write(tmp_path, held)) == {"a": "an array"}
        return
    with pytest.raises(UnpickleError, match=said):
        plain(write(tmp_path, held))
    assert not (tmp_path / "ran").exists()


def test_another_codec_than_bytes_are_written_in_is_refused(tmp_path):
    asked = b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR."
    with pytest.raises(UnpickleError, match=r"asks for _codecs\.encode with 'rot13'"):
        plain(write(tmp_path, asked))


@pytest.mark.parametrize(
    "held", [b"", b"no pickle", pickle.dumps(HELD)[:-40], b"\x80\x02cnumpy\nndarray\n)R."]
)
def test_a_broken_pickle_is_refused(tmp_path, held):
    with pytest.raises(UnpickleError, match="cannot be read as a pickle"):
        plain(write(tmp_path, held))


@pytest.mark.parametrize("held", [[1, 2], {"lr": 1.0}, {"blobs": [1]}])
def test_no_arrays_by_name_are_refused(tmp_path, held):
    with pytest.raises(UnpickleError, match="holds no arrays by name"):
        blobs(write(tmp_path, held))
