"""Parts of networks: by hand on small ones, by the paper's table of layers on its own."""

import pytest
import torch
from torch import nn

from retake.costs.measure import measure_cost
from retake.costs.parts import blocks_of, described, part_of
from retake.schema.costs import PARTS, CostFile, PartsCost, System
from retake.schema.tasks import METRICS


class Small(nn.Module):
    """A convolution over three frames, a pooling over two, two blocks, and one more that runs between the blocks."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 4, (3, 5, 7), stride=(1, 2, 2), padding=(1, 2, 3))
        self.pool = nn.MaxPool3d((2, 1, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU()) for _ in range(2)
        )
        self.beside = nn.ModuleDict(
            {"blocks_0": nn.Conv3d(4, 6, 1, stride=(1, 2, 1)), "never": nn.Conv3d(1, 1, 1)}
        )
        self.last = nn.Conv3d(6, 4, 1)

    def forward(self, clips):
        maps = self.blocks[0](self.pool(self.first(clips)))
        return self.blocks[1](self.last(self.beside["blocks_0"](maps)))


def small(*patterns):
    with torch.device("meta"):
        network = Small()
    return part_of(network, [3, 8, 12, 16], patterns)


def test_one_layer_is_told_by_hand():
    assert small("first") == {
        "blocks": 1, "over_time": 1, "kernel_frames": 3, "kernel_px": 7,
        "out_channels": 4, "out_frames": 8, "out_height": 6, "out_width": 8,
    }  # fmt: skip
    assert small("pool") == {
        "blocks": 1, "over_time": 1, "kernel_frames": 2, "kernel_px": 1,
        "out_channels": 4, "out_frames": 4, "out_height": 6, "out_width": 8,
    }  # fmt: skip


def test_blocks_are_counted_and_what_is_in_them_belongs_to_them():
    told = small("blocks.*")
    assert (told["blocks"], told["over_time"], told["kernel_px"]) == (2, 0, 3)
    assert (told["out_channels"], told["out_height"]) == (4, 3)  # after the one between them


def test_what_a_part_gives_is_what_the_last_of_it_to_run_gives():
    told = small("beside.blocks_*", "blocks.0")
    assert (told["blocks"], told["out_channels"], told["out_height"], told["out_width"]) == (2, 6, 3, 8)


def test_a_part_without_kernels_has_none():
    told = small("blocks.0.1")
    assert set(told) == {"blocks", "out_channels", "out_frames", "out_height", "out_width"}


def test_pictures_have_no_frames():
    network = nn.Sequential(nn.Conv2d(3, 5, (3, 1)), nn.AvgPool2d(2)).to("meta")
    assert part_of(network, [3, 6, 8], ["0"]) == {
        "blocks": 1, "over_time": 0, "kernel_frames": 1, "kernel_px": 3, "out_channels": 5, "out_height": 4,
        "out_width": 8,
    }  # fmt: skip
    assert part_of(network, [3, 6, 8], ["1"])["kernel_px"] == 2


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["second"], "no module is called 'second'; has first, pool, blocks, beside, last"),
        (["first", "block"], "no module is called 'block'"),
        (["beside.never"], "parts: beside.never give no maps"),
        (["blocks"], "parts: blocks give no maps"),  # a list of modules does not run
    ],
)
def test_a_part_that_is_not_there_or_does_not_run_is_an_error(patterns, said):
    with pytest.raises(ValueError, match=said):
        small(*patterns)


def test_an_error_names_the_network():
    with pytest.raises(ValueError, match="network 'resnet18': parts: no module is called 'layer9'"):
        described({"network": "resnet18", "arguments": {}, "input": [3, 32, 32]}, ["layer9"])


def test_hooks_are_taken_off_again():
    network = nn.Sequential(nn.Conv2d(3, 5, 3)).to("meta")
    part_of(network, [3, 6, 8], ["0"])
    assert not network[0]._forward_hooks
    assert list(blocks_of(network, ["*"])) == ["0"]


# Thesis table 7.1: stage -> (modules, blocks, layers over several frames, output of 32 x 224 x 224: channels, frames,
# height, width). What it prints as 3(1) x 1 x 1 is over three frames in two blocks of res3, three of res4, one of res5.
TABLE = {
    "conv1": (["conv1"], 1, 1, (64, 32, 112, 112)),
    "pool1": (["pool1"], 1, 0, (64, 32, 56, 56)),
    "res2": (["layer1.*"], 3, 3, (256, 32, 56, 56)),
    "pool2": (["pool2"], 1, 1, (256, 16, 56, 56)),
    "res3": (["layer2.*"], 4, 2, (512, 16, 28, 28)),
    "nl3": (["non_local.layer2_*"], 2, 0, (512, 16, 28, 28)),
    "res4": (["layer3.*"], 6, 3, (1024, 16, 14, 14)),
    "nl4": (["non_local.layer3_*"], 3, 0, (1024, 16, 14, 14)),
    "res5": (["layer4.*"], 3, 1, (2048, 16, 14, 14)),
}


def test_the_papers_backbone_has_the_layers_that_table_7_1_prints(tmp_path):
    systems = {
        name: System(
            networks=[{"network": "i3d_nl_r50", "input": [3, 32, 224, 224]}], parts=parts
        ).model_dump()
        for name, (parts, *_) in TABLE.items()
    }
    spec = PartsCost(kind="parts", systems=list(TABLE)).model_dump()
    for out in ("one.json", "two.json"):
        measure_cost(method="demo", cost="layers", spec=spec, systems=systems, out=tmp_path / out)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    file = CostFile.read(tmp_path / "one.json")
    assert file.machine is None
    found = {
        name: (v["blocks"], v["over_time"], tuple(v[side] for side in PARTS[4:]))
        for name, v in file.values.items()
    }
    assert found == {name: tuple(wanted) for name, (_, *wanted) in TABLE.items()}
    kernels = {name: (v["kernel_frames"], v["kernel_px"]) for name, v in file.values.items()}
    assert [kernels[name] for name in ("conv1", "pool1", "res2", "pool2", "res3", "res4", "res5")] == [
        (5, 7), (1, 3), (3, 3), (2, 1), (3, 3), (3, 3), (3, 3),
    ]  # fmt: skip


def test_every_metric_of_a_part_is_one():
    assert set(PARTS) <= set(METRICS)
    assert PartsCost(kind="parts", systems=["a"]).metrics == PARTS


def test_parts_are_of_one_network():
    one = {"network": "resnet18", "input": [3, 32, 32]}
    with pytest.raises(ValueError, match="parts: of one network, not of 2"):
        System(networks=[one, one], parts=["conv1"])
    with pytest.raises(ValueError, match="parts: of one network, not of 0"):
        System(block={"width": 3}, parts=["conv1"])
