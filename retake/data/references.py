"""Which pictures the vectors of a picture point into: what each codec's stream, or its decoder, lets one know.

Without B-frames that is the picture before. MPEG-1 and MPEG-2 have two anchors, the I- or P-frames shown last
before and first after a B-frame. H.264 may choose among several pictures, block by block; its headers tell
where it does not (`retake.data.h264_references`). FFmpeg exports zeros, or another picture's vectors, in the
place of those of MPEG-4 part 2's B-frames, so these are not followed; no picture refers to them.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from retake.data.h264_references import Headers, Told

# decoders that export motion vectors, and whether those of B-frames are the stream's own
EXPORTING = {
    "mpeg1video": True,
    "mpeg2video": True,
    "mpeg4": False,
    "h263": False,
    "flv": False,
    "msmpeg4v2": False,
    "msmpeg4": False,
    "wmv1": False,
    "h264": True,
}
LONGEST = 64  # packets between a picture and its frame, more than any decoder holds back
AWAY = "the picture that it refers to does not decode"


class Serial(NamedTuple):
    """Number of a packet, for its frame to bring back.

    One of its own for each packet, where numbers are objects that others hold too: PyAV finds it by its address, and
    forgets the address when the first packet marked with it is gone.
    """

    number: int


class Links(NamedTuple):
    """The pictures that the vectors of the first and of the second list point into, or why that is unknown."""

    first: "Picture | None" = None
    second: "Picture | None" = None
    unknown: str | None = None


@dataclass(eq=False)
class Picture:
    """A decoded frame on its way: what is known of it, then what was traced for it."""

    number: int  # in order of showing
    kind: str
    gop: int
    position: int
    time_s: float
    serial: int | None  # of its packet, where references are told by packets
    frame: Any  # as decoded; let go once it is not needed
    vectors: np.ndarray  # (N,) VECTOR
    start: int | None  # number of its group's I-frame
    mark: str | None = None  # why it was not traced
    lost_at: int | None = None  # number of the frame at which its trace was lost
    links: Links | None = None  # None: not known yet
    done: bool = False
    root: int | None = None  # number of the I-frame that it was traced to
    displacement: np.ndarray | None = None  # (H, W) int32, see tracing.py
    colours: np.ndarray | None = None  # (H, 3 W) uint8: the I-frame's at the traced places
    plane: np.ndarray | None = None  # (H, at least 3 W) uint8: its own
    shown: Any = None  # what is returned of it

    @property
    def is_ready(self) -> bool:
        """Whether all that it points into has been traced."""
        return self.links is not None and all(one is None or one.done for one in self.links[:2])

    def handed_over(self) -> Any:
        """What is returned of it; the picture itself lives on while others point into it."""
        shown, self.shown = self.shown, None
        return shown


class ByAnchors:
    """References of codecs in which a picture points into the I- or P-frame before, and a B-frame after, too."""

    exports_held = False  # whether a frame that comes out when nothing more goes in brings its vectors

    def __init__(self, codec: str):
        self.codec, self.last, self.waiting = codec, None, []
        self.follows_b = EXPORTING.get(codec, False)

    def feed(self, packet: Any) -> None:
        """Packets say nothing here."""

    def arrived(self, picture: Picture) -> None:
        """Links a picture in order of showing, and those that waited for it."""
        if picture.kind == "B":
            if self.follows_b:
                self.waiting.append(picture)
            else:
                picture.links = Links(
                    unknown=f"the decoder does not export the vectors of {self.codec} B-frames"
                )
            return
        picture.links = Links(self.last)
        self._release(picture)
        self.last = picture

    def ended(self) -> None:
        """Links what still waits: nothing will come after it."""
        self._release(None)

    def _release(self, after: Picture | None) -> None:
        for picture in self.waiting:
            picture.links = Links(self.last, after)
        self.waiting = []


class ByHeaders:
    """References of H.264, by the headers of its packets."""

    exports_held = True

    def __init__(self, extradata: bytes | None):
        self.headers = Headers.of(extradata)
        self.fed = 0
        self.told: dict[int, Told] = {}  # of packets whose picture has not been linked
        self.arrivals: dict[int, Picture] = {}
        self.waiting: list[Picture] = []

    def feed(self, packet: Any) -> None:
        """Reads a packet's headers, in order of decoding, and marks it so that its frame can be told."""
        packet.opaque = Serial(self.fed)
        self.told[self.fed] = self.headers.read(bytes(packet), self.fed)
        self.fed += 1

    def arrived(self, picture: Picture) -> None:
        """Links all pictures whose references have come."""
        if picture.serial not in self.told:
            picture.links = Links(unknown="a picture whose packet cannot be told")
            return
        self.arrivals[picture.serial] = picture
        self.waiting.append(picture)
        self._link(last=False)

    def ended(self) -> None:
        """Links what still waits; pictures that have not come by now will not."""
        self._link(last=True)

    def _link(self, last: bool) -> None:
        for picture in list(self.waiting):
            told = self.told[picture.serial]
            missing = any(n is not None and n not in self.arrivals for n in (told.first, told.second))
            if missing and not last and picture.serial >= self.fed - LONGEST:
                continue
            if missing or told.unknown:
                picture.links = Links(unknown=told.unknown or AWAY)
            else:
                picture.links = Links(self.arrivals.get(told.first), self.arrivals.get(told.second))
            self.waiting.remove(picture)
            del self.told[picture.serial]
        self._let_go()

    def _let_go(self) -> None:
        """Keeps those pictures that one which is still to come, or to be linked, may refer to."""
        for serial in [n for n in self.told if n < self.fed - LONGEST]:
            del self.told[serial]  # its packet gave no frame
        wanted = {one.serial for one in self.headers.kept} | {one.serial for one in self.waiting}
        for told in self.told.values():
            wanted |= {told.first, told.second}
        for serial in self.arrivals.keys() - wanted:
            del self.arrivals[serial]


def references_of(codec: Any) -> ByAnchors | ByHeaders:
    """For a stream's decoder; frames are to carry what their packets were marked with."""
    if codec.name == "h264":
        codec.copy_opaque = True
        return ByHeaders(codec.extradata)
    return ByAnchors(codec.name)
