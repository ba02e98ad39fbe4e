"""Which pictures an H.264 picture was predicted from (ITU-T H.264, clause 8.2).

The decoder exports a block's vector and its list of references, not the place in that list. Where only one
picture can stand there, it is known: the list has one entry, or one picture several times, or only one picture
is kept. Packets are read in the order of decoding.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from retake.data.h264_headers import (
    INTRA,
    SI,
    B,
    Parameters,
    Sequence,
    Slice,
    UnknownError,
    extra_units,
    read_parameters,
    read_sequence,
    read_slice,
    units,
)


@dataclass
class Kept:
    """A picture that later ones may refer to; `serial` counts packets in order of decoding."""

    serial: int
    frame_num: int
    order: int | None  # of showing, within its sequence


class Told(NamedTuple):
    """Serials of the pictures that both lists stand for (None: not used), or why they are not known."""

    first: int | None = None
    second: int | None = None
    unknown: str | None = None


@dataclass
class Headers:
    """Follows the headers of a stream, packet by packet in order of decoding."""

    length_bytes: int = 0
    sequences: dict[int, Sequence] = field(default_factory=dict)
    parameters: dict[int, Parameters] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    lost: str | None = "the stream does not start afresh"  # why nothing is known until it does
    reference_num: int = 0  # frame_num of the last picture that others refer to
    picture_num: int = 0  # of the last picture
    wraps: int = 0  # how often frame_num began again
    high: int = 0  # order of showing of the last picture that others refer to: multiples of the modulus ...
    low: int = 0  # ... and the rest

    @classmethod
    def of(cls, extradata: bytes | None) -> "Headers":
        """With what the stream's own header says."""
        found, length_bytes = extra_units(extradata or b"")
        headers = cls(length_bytes)
        for unit in found:
            with suppress(UnknownError):  # then the pictures that need it say so
                headers._take(unit)
        return headers

    def read(self, packet: bytes, serial: int) -> Told:
        """What the picture in this packet was predicted from; `serial` is to rise from packet to packet."""
        slices: list[Slice] = []
        try:
            for unit in units(packet, self.length_bytes):
                slices += self._take(unit)
            if not slices:
                raise UnknownError("a picture without a header that can be read")
            if slices[0].is_idr:
                self.kept, self.lost, self.wraps, self.high, self.low = [], None, 0, 0, 0
            elif self.lost is None:
                self._check(slices[0])
            if self.lost:
                raise UnknownError(self.lost)
            order = self._order(slices[0])
            return self._linked(slices, order, serial)
        except UnknownError as error:
            self.lost, self.kept = str(error), []
            return Told(unknown=str(error))

    def _linked(self, slices: list[Slice], order: int | None, serial: int) -> Told:
        """The links of a picture whose past is known; keeps it if others may refer to it."""
        head, unknown = slices[0], None
        found: tuple[set[int], set[int]] = (set(), set())
        try:
            for one in slices:
                for side, stands in enumerate(self._lists(one, order)):
                    found[side].update(stands)
        except UnknownError as error:
            unknown = str(error)
        if any(len(side) > 1 for side in found):
            unknown = "blocks refer to one of several pictures, the decoder does not say to which"
        first, second = (min(side, default=None) for side in found)
        if head.is_reference:
            self._forget(head)
            self.kept.append(Kept(serial, head.frame_num, order))
            self.reference_num = head.frame_num
        self.picture_num = head.frame_num
        return Told(unknown=unknown) if unknown else Told(first, second)

    def _take(self, unit: bytes) -> list[Slice]:
        """Reads a unit; the slice's header where it is one."""
        kind = unit[0] & 31 if unit else 0
        if kind == 7:
            number, sequence = read_sequence(unit)
            self.sequences[number] = sequence
        elif kind == 8:
            number, parameters = read_parameters(unit)
            self.parameters[number] = parameters
        elif kind in {1, 5}:
            return read_slice(unit, self.parameters, self.sequences)
        elif kind == 2:
            raise UnknownError("slices in partitions")
        return []

    def _check(self, head: Slice) -> None:
        """That no picture is missing before this one."""
        step = (head.frame_num - self.reference_num) % (1 << head.sequence.frame_num_bits)
        if step > 1:
            raise UnknownError("pictures are missing before it")

    def _order(self, head: Slice) -> int | None:
        """Place in the order of showing (8.2.1), None where it would have to be looked up in a table."""
        if head.sequence.order_type == 0:
            modulus = 1 << head.sequence.order_bits
            high = self.high
            if self.low - head.order >= modulus // 2:
                high += modulus
            elif head.order - self.low > modulus // 2:
                high -= modulus
            if head.is_reference:
                self.high, self.low = high, head.order
            return high + head.order + min(0, head.order_below)
        if head.is_idr:
            return 0
        self.wraps += head.frame_num < self.picture_num
        if head.sequence.order_type == 1:
            return None
        number = (self.wraps << head.sequence.frame_num_bits) + head.frame_num
        return 2 * number - (not head.is_reference)

    def _number(self, one: Kept, head: Slice) -> int:
        """A kept picture's frame_num, below the current one's where it is older (8.2.4.1)."""
        return one.frame_num - (one.frame_num > head.frame_num) * (1 << head.sequence.frame_num_bits)

    def _lists(self, head: Slice, order: int | None) -> list[set[int]]:
        """Serials that can stand in the first and in the second list of references (8.2.4)."""
        if head.kind in {INTRA, SI}:
            return []
        if head.kind == B:
            if order is None or any(one.order is None for one in self.kept):
                raise UnknownError("its order of showing is not told in its header")
            before = sorted((one for one in self.kept if one.order < order), key=lambda one: -one.order)
            after = sorted((one for one in self.kept if one.order > order), key=lambda one: one.order)
            lists = [before + after, after + before]
            if len(self.kept) > 1 and lists[0] == lists[1]:
                lists[1] = [lists[1][1], lists[1][0], *lists[1][2:]]
        else:
            lists = [sorted(self.kept, key=lambda one: -self._number(one, head))]
        listed = []
        for side, entries in enumerate(lists):
            entries = self._changed(entries, head, head.changes[side])
            listed.append({one.serial for one in entries[: head.num_active[side]]})
        return listed

    def _changed(self, entries: list[Kept], head: Slice, changes: list[tuple[int, int]]) -> list[Kept]:
        """A list after its slice's changes (8.2.4.3)."""
        modulus = 1 << head.sequence.frame_num_bits
        number, entries = head.frame_num, list(entries)
        for at, (operation, difference) in enumerate(changes):
            if operation > 1:
                raise UnknownError("pictures are kept for long")
            number = (number + (difference if operation else -difference)) % modulus
            wanted = number - modulus * (number > head.frame_num)
            chosen = [one for one in self.kept if self._number(one, head) == wanted]
            if not chosen:
                raise UnknownError("a picture that it refers to is missing")
            entries = entries[:at] + chosen + [one for one in entries[at:] if one is not chosen[0]]
        return entries

    def _forget(self, head: Slice) -> None:
        """Makes room as the picture's header says (8.2.5)."""
        for operation, difference in head.forget or ():
            if operation != 1:
                raise UnknownError("pictures are kept for long")
            gone = head.frame_num - difference
            self.kept = [one for one in self.kept if self._number(one, head) != gone]
        if head.forget is None and len(self.kept) >= max(head.sequence.num_references, 1):
            self.kept.remove(min(self.kept, key=lambda one: self._number(one, head)))
