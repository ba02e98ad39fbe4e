"""Signals of coded frames, made from those of the pictures that they point into (definition: `motion`)."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from retake.data.decoding import quarter_turns
from retake.data.references import Links, Picture
from retake.data.tracing import (
    FIRST,
    NO_VECTORS,
    SECOND,
    move_colours,
    move_displacements,
    subtract,
    unpacked,
)

TRACED = frozenset({"motion", "residual", "motion_step", "residual_step"})
FIELDS = {"motion", "motion_step"}
ARRAYS = ("rgb", "motion", "residual", "motion_step", "residual_step")
KEPT = 16  # arrays that Memory has at most


class CodedFrame(NamedTuple):
    """A frame as it was coded, upright. Arrays that were not asked for, or are not known, are None.

    I-frames have neither motion nor residual. Arrays are not to be written to.
    """

    number: int  # in order of showing, from 0
    kind: str  # "I", "P", "B"
    gop: int  # group of pictures, one at each I-frame in order of showing; -1 before the first
    position: int  # place in it, the I-frame's is 0; from 1 where there is none
    time_s: float  # as the frame reader has it; n / 25 for a stream in memory
    rgb: np.ndarray | None  # (H, W, 3) uint8: of all frames ("rgb") or of I-frames ("iframe")
    motion: np.ndarray | None  # (H, W, 2) int16, x then y, pixels: place - place in the I-frame
    residual: np.ndarray | None  # (H, W, 3) int16: frame - I-frame at the traced place
    motion_step: np.ndarray | None  # (H, W, 2) int16, by this frame's vectors alone
    residual_step: np.ndarray | None  # (H, W, 3) int16: frame - picture that it points into
    marked: str | None  # why it could not be traced to its I-frame


class Memory:
    """Arrays that nobody holds any more, to be written again: fresh memory costs as much as what is done in it."""

    def __init__(self):
        self.arrays = [np.empty(0, np.uint8)]
        for array in self.arrays:  # as `take` will see one: how many references the language itself counts
            self.unused = sys.getrefcount(array)

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array with anything in it. One that is held, by itself or through a view, is not given out again."""
        for array in self.arrays:
            if sys.getrefcount(array) == self.unused and array.shape == shape and array.dtype == dtype:
                return array
        array = np.empty(shape, dtype)
        if len(self.arrays) < KEPT:
            self.arrays.append(array)
        return array

    def copy(self, array: np.ndarray) -> np.ndarray:
        new = self.take(array.shape, array.dtype)
        np.copyto(new, array)
        return new


class Tracer:
    """Makes the signals of one picture after the other, each from those of the pictures that it points into."""

    def __init__(self, wanted: frozenset, only: frozenset | None):
        self.wanted, self.only = wanted, only
        self.scaler, self.memory = VideoReformatter(), Memory()
        self.rest = np.zeros((0, 0), np.int32)  # no displacement anywhere

    def trace(self, picture: Picture) -> None:
        """Follows a picture's vectors, and makes what is to be shown of it."""
        links, shape = picture.links, (picture.frame.height, picture.frame.width)
        if self.rest.shape != shape:
            self.rest = np.zeros(shape, np.int32)
        if "residual_step" in self.wanted:  # whatever comes may point into it
            self._plane(picture)
        known = False
        if picture.kind == "I":
            picture.root, picture.displacement = picture.number, self.rest
            picture.colours = self._compact(picture) if "residual" in self.wanted else None
        elif self.wanted & TRACED:
            picture.mark = picture.mark or _unlinked(picture, links)
            known = picture.mark is None
            if known:
                self._accumulate(picture, links)
            if picture.mark and picture.lost_at is None:
                picture.lost_at = picture.number
        if self.only is None or picture.number in self.only:
            picture.shown = self._shown(picture, links if known else None)
        picture.done, picture.links, picture.frame, picture.vectors = True, None, None, NO_VECTORS
        picture.plane = picture.plane if "residual_step" in self.wanted else None

    def _accumulate(self, picture: Picture, links: Links) -> None:
        """The picture's trace from those that it points into, or a mark."""
        first, second = links.first, links.second
        lost = next((one.lost_at for one in (first, second) if one and one.lost_at is not None), None)
        if lost is not None:
            picture.mark, picture.lost_at = f"it is traced through frame {lost}, which is marked", lost
        elif second is not None and second.root != first.root and self._covered(picture.vectors).any():
            picture.mark = "it points into the group of pictures after"
        elif first.root != picture.start:
            picture.mark = "it points into the group of pictures before"
        else:
            picture.root = first.root
            second = second if second is not None and second.root == first.root else None
            if "motion" in self.wanted:
                old = (first.displacement, second and second.displacement)
                picture.displacement = self._moved(
                    first.displacement, old, picture.vectors, move_displacements
                )
            if "residual" in self.wanted:
                old = (first.colours, second and second.colours)
                picture.colours = self._moved(first.colours, old, picture.vectors, move_colours)

    def _moved(self, base: np.ndarray, old: tuple, vectors: np.ndarray, move: Callable) -> np.ndarray:
        """A copy of `base` with blocks moved into it from `old`, the arrays of both lists (second None: unused)."""
        new = self.memory.copy(base)
        if len(vectors) == 0:
            return new
        if old[1] is not None:
            move(new, old[1], vectors, SECOND, False)
            move(new, old[0], vectors, FIRST, False)
            move(new, old[1], vectors, SECOND, True)
        move(new, old[0], vectors, FIRST, True)
        return new

    def _covered(self, vectors: np.ndarray) -> np.ndarray:
        """Where a vector of the second list stands."""
        height, width = self.rest.shape
        rest, second = np.zeros((2, height, 3 * width), np.uint8)
        second[:] = 1
        return self._moved(rest, (rest, second), vectors, move_colours)

    def _plane(self, picture: Picture) -> np.ndarray:
        """A picture's colours (H, at least 3 W) uint8, as the scaler lays them out."""
        if picture.plane is None:
            frame = self.scaler.reformat(
                picture.frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1
            )
            picture.plane = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(frame.height, -1)
        return picture.plane

    def _compact(self, picture: Picture) -> np.ndarray:
        return self.memory.copy(self._plane(picture)[:, : 3 * picture.frame.width])

    def _shown(self, picture: Picture, step: Links | None) -> CodedFrame:
        """What is returned; `step`: what the picture points into, None where that is not known."""
        wanted, made = self.wanted, {}
        if "rgb" in wanted or (picture.kind == "I" and "iframe" in wanted):
            made["rgb"] = self._compact(picture)
        if picture.kind != "I":
            if picture.mark is None and "motion" in wanted:
                made["motion"] = picture.displacement
            if picture.mark is None and "residual" in wanted:
                made["residual"] = self._difference(picture, picture.colours)
            if step is not None and "motion_step" in wanted:
                old = (self.rest, step.second and self.rest)
                made["motion_step"] = self._moved(self.rest, old, picture.vectors, move_displacements)
            if step is not None and "residual_step" in wanted:
                base = step.first.plane[:, : 3 * picture.frame.width]
                old = (step.first.plane, step.second and step.second.plane)
                moved = self._moved(base, old, picture.vectors, move_colours)
                made["residual_step"] = self._difference(picture, moved)
        turns = quarter_turns(picture.frame)
        for name, array in made.items():
            made[name] = _upright(array, name in FIELDS, turns)
        facts = (picture.number, picture.kind, picture.gop, picture.position, picture.time_s)
        arrays: dict[str, Any] = {name: made.get(name) for name in ARRAYS}
        return CodedFrame(*facts, **arrays, marked=picture.mark)

    def _difference(self, picture: Picture, expected: np.ndarray) -> np.ndarray:
        out = self.memory.take(expected.shape, np.int16)
        subtract(out, self._plane(picture), expected)
        return out


def _unlinked(picture: Picture, links: Links) -> str | None:
    """Why it is not known what a picture points into, if so."""
    if links.unknown:
        return links.unknown
    if links.first is None:
        return "no picture before it"
    if picture.kind == "B" and links.second is None and (picture.vectors["source"] > 0).any():
        return "the picture after it, into which it points, does not come"
    return None


def _upright(array: np.ndarray, is_field: bool, turns: int) -> np.ndarray:
    """An array as it is returned: turned counter-clockwise by quarters, vectors too, and read-only."""
    array = unpacked(array) if is_field else array.reshape(len(array), -1, 3)
    if turns:
        array = np.rot90(array, turns)
        for _ in range(turns * is_field):
            array = np.stack([array[..., 1], -array[..., 0]], axis=-1)
        array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
