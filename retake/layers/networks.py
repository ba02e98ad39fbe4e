"""Networks at random by name: those of timm, and some of clips that costs are told by.

c3d         Tran et al. 2015: eight convolutions of 3 x 3 x 3, five poolings, three full layers; 16 frames of 112 x 112
res3d       Tran et al. 2017: a residual network of 18 layers of 3 x 3 x 3; 8 frames of 112 x 112
i3d_nl_r50  retake.layers.inflated with 50 layers, without a classifier: 32 frames of 224 x 224; i3d_nl_r101 with 101
module:name a method's own: name(**arguments) of that module is a network that takes clips or frames (B, ...)
"""

from importlib import import_module
from typing import Any

from torch import Tensor, nn

from retake.layers.backbone import trunk
from retake.layers.inflated import inflated

CLASSES = 101  # a classifier's share of the cost is below a thousandth whatever their number
STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))  # of c3d: widths between poolings
WIDTH = 4096  # of its full layers
I3D = "i3d_nl_"


class C3D(nn.Module):
    """clips (B, 3, 16, 112, 112) to logits (B, classes)."""

    def __init__(self, in_chans: int, num_classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        for number, widths in enumerate(STAGES):
            for width in widths:
                layers += [nn.Conv3d(in_chans, width, 3, padding=1), nn.ReLU()]
                in_chans = width
            window = (1, 2, 2) if number == 0 else (2, 2, 2)
            layers.append(nn.MaxPool3d(window, padding=(0, 1, 1) if number == len(STAGES) - 1 else 0))
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(512 * 4 * 4, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, num_classes)
        )  # fmt: skip

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(self.trunk(clips).flatten(1))


def network_of(name: str, arguments: dict[str, Any], in_chans: int) -> nn.Module:
    """The network `name`, with a classifier but for i3d_nl, on the default device, at random.

    Raises ValueError on a name that is neither here nor in timm, or on channels that the network does not see.
    """
    if ":" in name:
        module, made = name.split(":")
        return getattr(import_module(module), made)(**arguments)
    if name.startswith(I3D):
        if in_chans != 3:
            raise ValueError(f"network {name!r} sees 3 channels, not {in_chans}")
        return inflated({"like": name.removeprefix(I3D)} | arguments)
    if name == "c3d":
        return C3D(in_chans, CLASSES, **arguments)
    if name == "res3d":
        from torchvision.models.video import r3d_18  # takes seconds

        if in_chans != 3:
            raise ValueError(f"network {name!r} sees 3 channels, not {in_chans}")
        return r3d_18(num_classes=CLASSES, **arguments)
    try:
        return trunk(name, arguments, num_classes=CLASSES, in_chans=in_chans)
    except RuntimeError as error:  # timm's for a name that it does not have
        raise ValueError(
            f"network {name!r}: neither c3d nor res3d nor i3d_nl nor one of timm ({error})"
        ) from None
