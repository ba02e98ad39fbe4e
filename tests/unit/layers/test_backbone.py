import subprocess
import sys

import pytest
import torch
from torch import nn

from retake.layers.backbone import PixelScale, over_frames, trunk

SMALL = {"layers": [1, 1, 1, 1], "channels": [4, 4, 6, 6], "stem_width": 8}


def test_each_frame_is_seen_alone_and_stays_in_its_place():
    class Mean(nn.Module):
        def forward(self, pixels):
            return pixels.mean(dim=(2, 3))

    frames = torch.arange(2 * 3 * 4, dtype=torch.float).view(2, 3, 4, 1, 1).expand(2, 3, 4, 5, 6)
    features = over_frames(Mean(), PixelScale([0.0] * 3, [1.0] * 3), frames)
    assert torch.equal(features, frames[..., 0, 0].transpose(1, 2))


def test_pixels_are_scaled_colour_by_colour():
    scale = PixelScale([0.5, 0.25, 0.0], [0.5, 0.25, 2.0])
    assert scale(torch.ones(1, 3, 1, 1)).flatten().tolist() == [1.0, 3.0, 0.5]
    assert not scale.state_dict()


def test_a_trunk_has_timms_names_and_no_classifier():
    names = dict(trunk("resnet18", SMALL).named_parameters())
    assert "layer4.0.conv2.weight" in names
    assert not any(name.startswith("fc.") for name in names)
    assert trunk("resnet18", SMALL)(torch.zeros(2, 3, 32, 32)).shape == (2, 6)


def test_frames_without_a_place_for_time_are_refused():
    with pytest.raises(ValueError, match=r"B, C=3, T, H, W\), found \(2, 3, 8, 8\)"):
        over_frames(nn.Identity(), PixelScale([0.5] * 3, [0.5] * 3), torch.zeros(2, 3, 8, 8))


def test_a_model_that_reads_features_imports_no_image_library():
    code = (
        "import sys, retake.methods.etenet.model as m; "
        "m.build(encoder=None, feature_width=4, embedding=4, hidden=4, attention=4, dropout=0.0,"
        "word_dropout=0.0,"
        "dsa_weight=1.0, dsa_divisor='frames', min_count=1, max_words=None,"
        "vocabulary=['<eos>', '<unk>', '<sos>', 'a']);"
        "print(sorted({'timm', 'torchvision', 'transformers', 'accelerate'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("lying", ["channels first", "channels last", "of a clip"])
def test_pixels_are_scaled_alike_however_they_lie(lying):
    """To the bit, and the result lies as the pixels do."""
    scale = PixelScale([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    pixels = torch.rand(2, 4, 3, 5, 7)
    if lying == "channels last":
        pixels = pixels.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    if lying == "of a clip":
        pixels = pixels.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d).transpose(1, 2)
    found = scale(pixels)
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 0.6), (0.3, 0.7))):
        wanted = (pixels[:, :, channel] - torch.tensor(mean)) / torch.tensor(std)
        assert torch.equal(found[:, :, channel], wanted)
    assert found.stride() == pixels.stride()
    one = torch.rand(2, 1, 4, 4)  # one channel lies last and first
    assert torch.equal(PixelScale([0.5], [0.25])(one), (one - 0.5) / 0.25)
