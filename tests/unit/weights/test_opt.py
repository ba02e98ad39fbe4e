"""The language model: its published size, its files, what it learns of texts alone, and its words further on."""

import json

import pytest
import torch
from safetensors.torch import load_file

from retake.data.loader import Source, to_device
from retake.layers.tokenizer import Tokenizer
from retake.schema.card import read_weights_card
from retake.training import checkpoint
from retake.training.loop import prepared_for
from retake.training.pretrain import pretrain_weights
from retake.weights.opt_1_3b import convert
from retake.weights.opt_1_3b.model import build, described, from_config, network_of, prepare
from tests.unit.training.small_stage import Metrics, stage, write_annotations

MODULE = "retake.weights.opt_1_3b.model"
CARD = read_weights_card("retake/weights/opt_1_3b/card.yaml")
SIZES = {"hidden": 32, "layers": 2, "heads": 2, "inner": 64, "positions": 24, "words": 300, "dropout": 0.0}
NOUNS = ["dog", "cat", "car", "ball"]


def texts(folder, num=48):
    """A table of texts without videos, in which the second word tells the last."""
    rows = [
        {"item_id": f"text{n}", "video_id": f"text{n}", "ref_id": f"text{n}", "split": "train" if n // 4 % 4 else "val",
         "text_out": f"the {NOUNS[n % 4]} sees a {NOUNS[(n + 1) % 4]}"}
        for n in range(num)
    ]  # fmt: skip
    path = write_annotations(folder / "texts.parquet", rows)
    return {"dataset": "texts", "annotations": str(path), "kind": "text"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A weights folder trained on texts, and what it reported."""
    folder = tmp_path_factory.mktemp("opt")
    data, metrics = texts(folder), Metrics()
    recipe = stage(
        data, model=SIZES, trainable=["*"], validation={"data": data | {"split": "val"}}, length={"epochs": 24},
        batch={"effective": 12, "at_once": 6},
    )  # fmt: skip
    pretrain_weights(
        weights_module=MODULE, recipe=recipe, seed=1, out=folder / "model.safetensors",
        config=folder / "config.json", metric=metrics, scratch=folder / "scratch",
        beside={"vocab": folder / "words/vocab.json"},
    )  # fmt: skip
    return folder, metrics


def test_it_has_the_published_parameters():
    with torch.device("meta"):
        network = network_of(described(**CARD.paper.model))
    assert sum(p.numel() for p in network.parameters()) == 1_315_758_080
    assert len(network.model.decoder.layers) == 24
    assert network.lm_head.weight is network.model.decoder.embed_tokens.weight
    assert network.model.decoder.embed_positions.weight.shape == (2048 + 2, 2048)


def test_trained_on_texts_alone_it_knows_what_follows(trained):
    _, metrics = trained
    first, last = metrics.of("val/total")[0], metrics.of("val/total")[-1]
    assert (
        last < 0.5 < first
    )  # of about 7 tokens a text only the first noun is left to chance: log(4) / 7 = 0.2


def test_the_folder_holds_what_the_hub_has(trained):
    folder, _ = trained
    assert {"config.json", "model.safetensors", "merges.txt"} <= {p.name for p in folder.iterdir()}
    config, tensors = (
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )
    assert (config["vocab_size"], config["num_hidden_layers"], config["ffn_dim"]) == (300, 2, 64)
    assert "lm_head.weight" not in tensors
    network = from_config(config).network
    assert set(tensors) == {n for n in network.state_dict() if n != "lm_head.weight"}
    words = Tokenizer({"vocab.json": (folder / "words/vocab.json").read_text(),
                       "merges.txt": (folder / "merges.txt").read_text()})  # fmt: skip
    network.load_state_dict(tensors, strict=False)
    ids = torch.tensor([[words.bos, *words.encode("the dog sees a")]])
    following = network.eval()(input_ids=ids).logits[0, -1].argmax().item()
    assert words.decode([following]).strip() == "cat"


def test_the_loss_is_the_likelihood_of_each_text_alone(tmp_path):
    data = texts(tmp_path, 8)
    source = Source(data | {"split": "train"})
    torch.manual_seed(0)
    model = build(**SIZES, **prepare(source.rows, SIZES)).eval()
    batch = to_device(source.batch(range(len(source.rows))), torch.device("cpu"))
    assert set(batch) == {"keep", "same_as", "item_id", "text_in", "text_out"}
    assert batch["keep"].tolist() == [[True]] * len(source.rows)
    batch["text_out"][0] = "the dog"  # shorter than the others: padded
    found, total, count = model.losses(batch), 0.0, 0
    for text in batch["text_out"]:
        ids = [2, *model.tokenizer.encode(text), 2]
        logits = model.network(input_ids=torch.tensor([ids])).logits[0].double()
        total -= sum(logits[t].log_softmax(dim=0)[ids[t + 1]].item() for t in range(len(ids) - 1))
        count += len(ids) - 1
    assert found["count"].item() == count
    assert found["total"].item() == pytest.approx(total, rel=1e-5)


def test_a_text_longer_than_the_positions_is_cut(tmp_path):
    source = Source(texts(tmp_path, 8) | {"split": "train"})
    model = build(**SIZES | {"positions": 5}, **prepare(source.rows, SIZES)).eval()
    assert model.losses(source.batch([0]))["count"].item() == 4


@pytest.mark.parametrize("form", ["decoder", "whole"])
def test_published_names_are_put_right(form):
    names = [n for n in network_of(described(**SIZES)).state_dict() if n != "lm_head.weight"]
    inner = {n.removeprefix("model.") if form == "decoder" else n: torch.zeros(1) for n in names}
    beside = {"lm_head.weight": torch.zeros(1), "decoder.version": torch.zeros(1)}
    assert sorted(convert.rename(inner | beside)) == sorted(names)
    with pytest.raises(ValueError, match=r"'encoder\.x' is no name of OPT's"):
        convert.rename({"encoder.x": torch.zeros(1)})


class Wordy:
    """A stand-in for a method's module that takes its words from where it starts."""

    PREPARED = ("tokenizer",)


class Wordless:
    PREPARED = ("vocabulary",)

    @staticmethod
    def prepare(rows, sizes):
        return {"vocabulary": [row["text_out"] for row in rows]}


class Both:
    PREPARED = ("tokenizer", "vocabulary")
    prepare = staticmethod(lambda rows, sizes: {"tokenizer": {}, "vocabulary": ["a"]})


def start(folder, **changes):
    files = {"vocab.json": str(folder / "words/vocab.json"), "merges.txt": str(folder / "merges.txt")}
    return {
        "checkpoint": str(folder / "model.safetensors"),
        "into": "",
        "leave_out": [],
        "tokenizer": files,
    } | changes


def test_a_tokenizer_beside_the_weights_is_prepared_and_travels_in_the_checkpoint(trained, tmp_path):
    folder, _ = trained
    prepared = prepared_for(Wordy, {}, [start(folder)], [])
    assert prepared == {"tokenizer": {"vocab.json": (folder / "words/vocab.json").read_text(),
                                      "merges.txt": (folder / "merges.txt").read_text()}}  # fmt: skip
    model = build(**SIZES, **prepared)
    checkpoint.save(tmp_path / "c.safetensors", model, sizes=SIZES, prepared=prepared, recipe_sha256="0")
    again = checkpoint.load(MODULE, tmp_path / "c.safetensors")
    assert again.tokenizer.encode("the dog") == model.tokenizer.encode("the dog")
    later = [{"checkpoint": str(tmp_path / "c.safetensors"), "into": "", "leave_out": [], "tokenizer": {}}]
    assert prepared_for(Wordy, {}, later, []) == prepared


def test_two_starts_with_words_are_refused(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(ValueError, match="brings a tokenizer, as an earlier start does"):
        prepared_for(Wordy, {}, [start(folder), start(folder)], [])
    checkpoint.write_tensors(tmp_path / "c.safetensors", {}, {"prepared": {"tokenizer": {}}})
    with pytest.raises(ValueError, match="brings a tokenizer"):
        prepared_for(Wordy, {}, [{"checkpoint": str(tmp_path / "c.safetensors")}, start(folder)], [])


def test_who_asks_for_no_tokenizer_gets_none(trained):
    rows = [{"text_out": "x"}]
    assert prepared_for(Wordless, {}, [start(trained[0])], rows) == {"vocabulary": ["x"]}


def test_what_a_start_does_not_bring_is_prepared(trained):
    made = prepared_for(Both, {}, [start(trained[0])], [])
    assert made["vocabulary"] == ["a"]
    assert set(made["tokenizer"]) == {"vocab.json", "merges.txt"}
