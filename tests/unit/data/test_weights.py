"""Published weights, from a hub on loopback or from a folder."""

import hashlib
import io
import json
import os
import pickle
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from retake.data import weights
from retake.data.weights import WeightsError, fetch_weights
from retake.schema.card import read_weights_card
from retake.schema.strict import SettingError
from tests.fixtures.loopback import serve

REAL = weights.CARDS / "imagenet_irv2" / "card.yaml"
CONFIG = b'{"architecture": "toy"}'


def tensors(count: int = 3) -> bytes:
    """A file in the safetensors format: header size, header, float32 values."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{count}f", *range(count))


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Writes the card of the weights toy with these files."""

    def write(*files: dict) -> None:
        values = yaml.safe_load(REAL.read_text()) | {
            "source": {"repo": "maker/toy", "revision": "abc", "files": files}
        }
        (tmp_path / "cards" / "toy").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cards" / "toy" / "card.yaml").write_text(yaml.safe_dump(values))

    monkeypatch.setattr(weights, "CARDS", tmp_path / "cards")
    monkeypatch.chdir(tmp_path)
    write(
        {"name": "config.json"},
        {"name": "model.safetensors", "sha256": hashlib.sha256(tensors()).hexdigest()},
    )
    return write


@pytest.fixture
def hub(monkeypatch):
    with serve() as served:
        served.add("/maker/toy/resolve/abc/config.json", CONFIG)
        served.add("/maker/toy/resolve/abc/model.safetensors", tensors())
        monkeypatch.setenv("HF_ENDPOINT", served.url + "/")
        yield served


def bring(folder: str | None = None) -> list[str]:
    fetch_weights(
        weights="toy",
        folder=Path(folder) if folder else None,
        weights_out=Path("out/.part-model.safetensors"),
        config_out=Path("out/.part-config.json"),
        pause_s=0.0,
    )
    return sorted(path.name for path in Path("out").iterdir())


def test_files_come_from_the_hub_at_the_cards_revision(card, hub):
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    assert Path("out/.part-model.safetensors").read_bytes() == tensors()
    assert hub.paths() == ["/maker/toy/resolve/abc/config.json", "/maker/toy/resolve/abc/model.safetensors"]


def test_tokenizer_files_lie_beside_the_weights(card, hub):
    card({"name": "config.json"}, {"name": "model.safetensors"}, {"name": "vocab.txt"})
    hub.add("/maker/toy/resolve/abc/vocab.txt", b"a\nb\n")
    assert "vocab.txt" in bring()


def test_a_folder_that_the_user_has_is_copied_and_nothing_is_fetched(card, hub):
    Path("mine").mkdir()
    Path("mine/config.json").write_bytes(CONFIG)
    Path("mine/model.safetensors").write_bytes(tensors())
    assert bring("mine") == [".part-config.json", ".part-model.safetensors"]
    assert Path("out/.part-model.safetensors").read_bytes() == tensors()
    assert hub.requests == []


def test_a_folder_with_a_pickle_only_is_refused_with_the_files_it_needs(card):
    Path("mine").mkdir()
    Path("mine/config.json").write_bytes(CONFIG)
    Path("mine/pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(
        WeightsError, match=r"mine/model\.safetensors is not there(.|\n)*\.bin, \.pt, \.pth are not read"
    ):
        bring("mine")
    assert sorted(path.name for path in Path("out").iterdir()) == [".part-config.json"]


def test_a_folder_with_other_bytes_than_the_card_describes_is_refused(card):
    Path("mine").mkdir()
    Path("mine/config.json").write_bytes(CONFIG)
    Path("mine/model.safetensors").write_bytes(tensors(4))
    with pytest.raises(WeightsError, match=r"sha256 is .*, the card says"):
        bring("mine")


def test_a_hub_that_is_not_there_ends_in_words_that_help(card, monkeypatch):
    with serve() as gone:
        pass
    monkeypatch.setenv("HF_ENDPOINT", gone.url)
    with pytest.raises(WeightsError) as raised:
        bring()
    said = str(raised.value)
    assert "maker/toy at revision abc cannot be used" in said
    assert f"config.json: {gone.url}/maker/toy/resolve/abc/config.json: no connection" in said
    assert "Put config.json and model.safetensors into a folder" in said
    assert "folders: {weights/toy: /path/to/it}" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (tensors()[:-1], f"has {len(tensors()) - 1} bytes, its header describes {len(tensors())}"),
        (b"\x80\x02}q\x00.", "no header"),
        (struct.pack("<Q", 4) + b"abcd", "not in the safetensors format"),
    ],
    ids=["short", "pickle", "no header"],
)
def test_a_file_that_is_not_safetensors_is_refused_and_not_kept(card, hub, body, said):
    card({"name": "config.json"}, {"name": "model.safetensors"})
    hub.add("/maker/toy/resolve/abc/model.safetensors", body)
    with pytest.raises(WeightsError, match=said):
        bring()
    assert not Path("out/.part-model.safetensors").exists()


def test_a_config_that_is_no_json_is_refused(card, hub):
    hub.add("/maker/toy/resolve/abc/config.json", b"not json")
    with pytest.raises(WeightsError, match=r"config\.json: is not JSON"):
        bring()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            [{"name": "config.json"}, {"name": "pytorch_model.bin"}],
            r"pytorch_model\.bin: expected a name ending in",
        ),
        ([{"name": "config.json"}, {"name": "../model.safetensors"}], r"\.\./model\.safetensors: expected"),
        ([{"name": "model.safetensors"}], r"config\.json is missing"),
    ],
)
def test_a_card_that_asks_for_the_wrong_files_is_refused(card, hub, files, said):
    card(*files)
    with pytest.raises(WeightsError, match=said):
        bring()
    assert hub.requests == []


class RunsCode:
    """What unpickles by calling a function: here it would leave a file."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.fixture
def pickled(card, hub):
    """Serves pytorch_model.bin in the place of model.safetensors; returns what puts an object there."""
    card({"name": "config.json"}, {"name": "pytorch_model.bin", "becomes": "model.safetensors"})

    def put(held: object, **how: object) -> None:
        body = io.BytesIO()
        torch.save(held, body, **how)
        hub.add("/maker/toy/resolve/abc/pytorch_model.bin", body.getvalue())

    return put


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_tensors_are_written_anew_and_the_pickle_is_gone(pickled, zipped):
    held = {"a": torch.arange(6, dtype=torch.float16).view(2, 3), "b": torch.tensor([1.5])}
    pickled(held, _use_new_zipfile_serialization=zipped)
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    found = load_file("out/.part-model.safetensors")
    assert {k: (v.dtype, v.tolist()) for k, v in found.items()} == {
        k: (v.dtype, v.tolist()) for k, v in held.items()
    }


def test_a_pickle_that_would_run_code_is_refused_with_its_name(pickled, tmp_path):
    pickled({"a": torch.zeros(2), "b": RunsCode()})
    with pytest.raises(
        WeightsError, match=r"pytorch_model\.bin: asks for posix\.system: it would run code; refused"
    ):
        bring()
    assert not (tmp_path / "ran").exists()
    assert sorted(path.name for path in Path("out").iterdir()) == [".part-config.json"]
    body = io.BytesIO()
    torch.save(RunsCode(), body)
    body.seek(0)
    torch.load(body, weights_only=False)
    assert (tmp_path / "ran").exists(), "the pickle was harmless, and this test says nothing"


def test_a_folder_with_the_pickle_is_read_and_left_as_it_is(pickled):
    Path("mine").mkdir()
    Path("mine/config.json").write_bytes(CONFIG)
    torch.save({"a": torch.ones(2)}, "mine/pytorch_model.bin")
    before = Path("mine/pytorch_model.bin").read_bytes()
    assert bring("mine") == [".part-config.json", ".part-model.safetensors"]
    assert load_file("out/.part-model.safetensors")["a"].tolist() == [1.0, 1.0]
    assert Path("mine/pytorch_model.bin").read_bytes() == before


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([1, 2], "holds no tensors by name"),
        ({"a": 1}, "holds no tensors by name"),
        ({}, "holds no tensors by name"),
    ],
)
def test_a_pickle_of_something_else_is_refused(pickled, held, said):
    pickled(held)
    with pytest.raises(WeightsError, match=said):
        bring()


def test_a_pickle_cut_short_is_refused(pickled, hub):
    pickled({"a": torch.zeros(2000)})
    path = "/maker/toy/resolve/abc/pytorch_model.bin"
    hub.add(path, b"PK\x03\x04 no archive")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin: (cannot be read as|is no) pickle"):
        bring()


def test_a_tokenizers_files_go_where_the_rule_wants_them(card, hub):
    card({"name": "config.json"}, {"name": "model.safetensors"}, {"name": "vocab.txt"})
    hub.add("/maker/toy/resolve/abc/vocab.txt", b"a\nb\n")
    fetch_weights(
        weights="toy", folder=None, weights_out=Path("out/m"), config_out=Path("out/c"),
        beside_out={"vocab": Path("there/vocab.txt"), "weights": Path("out/m")}, pause_s=0.0,
    )  # fmt: skip
    assert Path("there/vocab.txt").read_bytes() == b"a\nb\n"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"tokenizer": ["vocab.json"]},
            r"tokenizer: expected \['vocab.json', 'merges.txt'\] or \['vocab.txt'\], not",
        ),
        ({"tokenizer": ["vocab.txt"]}, r"tokenizer: vocab\.txt is not among source\.files"),
        ({"source": {"files": [{"name": "a.bin"}]}}, r"source\.repo: missing; access is open"),
    ],
)
def test_a_card_says_what_a_tokenizer_is_and_where_from(values, said, tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(REAL.read_text()) | values))
    with pytest.raises(SettingError, match=said):
        read_weights_card(path)


def test_the_card_of_the_published_network_pins_one_revision():
    source = read_weights_card(REAL).source
    assert source.repo == "timm/inception_resnet_v2.tf_in1k"
    assert len(source.revision) == 40


def test_a_file_may_have_an_address_of_its_own(card, hub):
    hub.add("/elsewhere/config.json", CONFIG)
    card({"name": "config.json", "url": f"{hub.url}/elsewhere/config.json"}, {"name": "model.safetensors"})
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    assert hub.paths() == ["/elsewhere/config.json", "/maker/toy/resolve/abc/model.safetensors"]


def test_addresses_alone_are_enough_and_what_is_not_there_is_told(card, hub, tmp_path):
    path = tmp_path / "cards/toy/card.yaml"
    files = [{"name": name, "url": f"{hub.url}/x/{name}"} for name in ("config.json", "model.safetensors")]
    path.write_text(yaml.safe_dump(yaml.safe_load(REAL.read_text()) | {"source": {"files": files}}))
    hub.add("/x/config.json", CONFIG)
    with pytest.raises(
        WeightsError, match=r"at their addresses cannot be used(.|\n)*/x/model\.safetensors: 404"
    ):
        bring()
    hub.add("/x/model.safetensors", tensors())
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    files[0].pop("url")
    path.write_text(yaml.safe_dump(yaml.safe_load(REAL.read_text()) | {"source": {"files": files}}))
    with pytest.raises(SettingError, match=r"source\.repo: missing; access is open"):
        bring()


def test_arrays_of_another_pickle_are_written_anew(card, hub):
    card({"name": "config.json"}, {"name": "held.pkl", "becomes": "model.safetensors"})
    held = {"blobs": {"a": np.arange(4, dtype=np.float32).reshape(2, 2), "lr": 0.1}}
    hub.add("/maker/toy/resolve/abc/held.pkl", pickle.dumps(held, protocol=2))
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    assert load_file("out/.part-model.safetensors")["a"].tolist() == [[0, 1], [2, 3]]
    hub.add("/maker/toy/resolve/abc/held.pkl", pickle.dumps({"blobs": RunsCode()}, protocol=2))
    with pytest.raises(WeightsError, match=r"held\.pkl: asks for posix\.system: it would run code"):
        bring()
    assert not Path("ran").exists()


def test_tensors_that_a_converter_puts_right_may_have_the_final_name(card, hub, monkeypatch):
    card({"name": "config.json"}, {"name": "model.safetensors", "becomes": "model.safetensors"})
    turned = SimpleNamespace(rename=lambda tensors: {"v": tensors["w"] * 2})
    monkeypatch.setattr(weights, "_converter", lambda name: turned)
    assert bring() == [".part-config.json", ".part-model.safetensors"]
    assert load_file("out/.part-model.safetensors")["v"].tolist() == [0.0, 2.0, 4.0]
