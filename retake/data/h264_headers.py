"""Headers of H.264: parameter sets and the heads of slices (ITU-T H.264, clause 7.3), as far as references go.

Nothing behind a slice's header is looked at. What is not followed here (fields, partitions, groups of slices)
is said to be unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

P, B, INTRA, SP, SI = range(5)  # slice types
HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}  # profiles whose headers are longer
HEAD = 4096  # bytes of a unit that a header can reach


class UnknownError(Exception):
    """What cannot be told from the headers, as a phrase."""


class Bits:
    """Reads a unit's payload bit by bit, without the bytes that only keep start codes away."""

    def __init__(self, unit: bytes):
        payload = unit[:HEAD].replace(b"\x00\x00\x03", b"\x00\x00")
        self.left = 8 * len(payload)
        self.value = int.from_bytes(payload, "big")

    def u(self, count: int) -> int:
        """The next `count` bits."""
        self.left -= count
        if self.left < 0:
            raise UnknownError("a header is cut off")
        return self.value >> self.left & ((1 << count) - 1)

    def ue(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed one."""
        number = self.ue()
        return (number + 1) // 2 if number % 2 else -(number // 2)


@dataclass(frozen=True)
class Sequence:
    """What a sequence parameter set says that matters here."""

    frame_num_bits: int
    order_type: int
    order_bits: int  # of type 0
    order_always_zero: bool  # of type 1
    chroma: bool
    separate_planes: bool
    num_references: int
    frames_only: bool
    corner: tuple[int, int]  # left, top units cut away


@dataclass(frozen=True)
class Parameters:
    """What a picture parameter set says that matters here."""

    sequence: int
    has_bottom_order: bool
    num_active: tuple[int, int]
    weighted: bool
    weighted_both: int
    has_redundant: bool


@dataclass
class Slice:
    """A slice's header."""

    kind: int
    sequence: Sequence
    is_idr: bool
    is_reference: bool
    frame_num: int
    order: int = 0  # its low bits (type 0)
    order_below: int = 0  # of the lower field, against the upper one
    num_active: tuple[int, int] = (0, 0)
    changes: tuple[list[tuple[int, int]], ...] = ((), ())
    forget: list[tuple[int, int]] | None = None  # None: the oldest goes when there is no room


def units(packet: bytes, length_bytes: int) -> Iterator[bytes]:
    """The units of a packet: each after its length (mp4), or each after a start code (length_bytes 0)."""
    at = 0
    while length_bytes and at + length_bytes < len(packet):
        size = int.from_bytes(packet[at : at + length_bytes], "big")
        yield packet[at + length_bytes : at + length_bytes + size]
        at += length_bytes + size
    if not length_bytes:
        yield from (part.rstrip(b"\x00") for part in packet.split(b"\x00\x00\x01")[1:])


def extra_units(extradata: bytes) -> tuple[list[bytes], int]:
    """Units of a stream's own header, and the bytes of a length in its packets (0: start codes)."""
    if not extradata or extradata[0] != 1 or len(extradata) < 7:
        return list(units(extradata, 0)), 0
    found, at = [], 6
    for masked in (extradata[5] & 31, None):
        count = masked if masked is not None else extradata[at]
        at += masked is None
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            found.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
        if at >= len(extradata):
            break
    return found, (extradata[4] & 3) + 1


def _pass_scaling(bits: Bits, count: int) -> None:
    for n in range(count):
        if bits.u(1):
            last = step = 8
            for _ in range(16 if n < 6 else 64):
                if step:
                    step = (last + bits.se()) % 256
                last = step or last


def read_sequence(unit: bytes) -> tuple[int, Sequence]:
    """Number and contents of a sequence parameter set."""
    bits = Bits(unit[1:])
    profile = bits.u(8)
    bits.u(16)
    number, chroma, separate = bits.ue(), 1, False
    if profile in HIGH:
        chroma = bits.ue()
        separate = chroma == 3 and bool(bits.u(1))
        bits.ue(), bits.ue(), bits.u(1)
        if bits.u(1):
            _pass_scaling(bits, 12 if chroma == 3 else 8)
    frame_num_bits, order_type = bits.ue() + 4, bits.ue()
    order_bits, always_zero = 0, False
    if order_type == 0:
        order_bits = bits.ue() + 4
    elif order_type == 1:
        always_zero = bool(bits.u(1))
        bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    num_references = bits.ue()
    bits.u(1), bits.ue(), bits.ue()
    frames_only = bool(bits.u(1))
    bits.u(1 if frames_only else 2)
    corner = (0, 0)
    if bits.u(1):
        left, _, top, _ = (bits.ue() for _ in range(4))
        corner = (left, top)
    return number, Sequence(
        frame_num_bits, order_type, order_bits, always_zero, bool(chroma) and not separate, separate,
        num_references, frames_only, corner,
    )  # fmt: skip


def read_parameters(unit: bytes) -> tuple[int, Parameters]:
    """Number and contents of a picture parameter set."""
    bits = Bits(unit[1:])
    number, sequence = bits.ue(), bits.ue()
    bits.u(1)
    has_bottom = bool(bits.u(1))
    if bits.ue():
        raise UnknownError("its slices come in groups")
    active = (bits.ue() + 1, bits.ue() + 1)
    weighted, both = bool(bits.u(1)), bits.u(2)
    bits.se(), bits.se(), bits.se(), bits.u(2)
    return number, Parameters(sequence, has_bottom, active, weighted, both, bool(bits.u(1)))


def read_slice(unit: bytes, parameters: dict[int, Parameters], sequences: dict[int, Sequence]) -> list[Slice]:
    """A slice's header; nothing for one that repeats another."""
    bits, is_idr = Bits(unit[1:]), unit[0] & 31 == 5
    is_reference = unit[0] & 0x60 != 0
    bits.ue()
    kind, number = bits.ue() % 5, bits.ue()
    if number not in parameters or parameters[number].sequence not in sequences:
        raise UnknownError("a picture without a header that can be read")
    chosen = parameters[number]
    of = sequences[chosen.sequence]
    if not of.frames_only:
        raise UnknownError("interlaced")
    if of.corner != (0, 0):
        raise UnknownError("cut away at the left or the top")
    bits.u(2 * of.separate_planes)
    got = Slice(kind, of, is_idr, is_reference, bits.u(of.frame_num_bits))
    if is_idr:
        bits.ue()
    if of.order_type == 0:
        got.order = bits.u(of.order_bits)
        got.order_below = bits.se() if chosen.has_bottom_order else 0
    elif of.order_type == 1 and not of.order_always_zero:
        _ = [bits.se() for _ in range(1 + chosen.has_bottom_order)]
    if chosen.has_redundant and bits.ue():
        return []
    bits.u(kind == B)
    if kind in {P, SP, B}:
        got.num_active = chosen.num_active
        if bits.u(1):
            got.num_active = (bits.ue() + 1, bits.ue() + 1 if kind == B else 1)
        got.changes = tuple(_changes(bits) for _ in range(1 + (kind == B)))
        if chosen.weighted_both == 1 if kind == B else chosen.weighted:
            _pass_weights(bits, got)
    if is_reference:
        got.forget = _forgets(bits, is_idr)
    return [got]


def _changes(bits: Bits) -> list[tuple[int, int]]:
    """(operation, difference) of a list's changes."""
    found = []
    if bits.u(1):
        while (operation := bits.ue()) != 3:
            found.append((operation, bits.ue() + 1))
    return found


def _pass_weights(bits: Bits, head: Slice) -> None:
    bits.ue()
    if head.sequence.chroma:
        bits.ue()
    for side in range(1 + (head.kind == B)):
        for _ in range(head.num_active[side]):
            if bits.u(1):
                bits.se(), bits.se()
            if head.sequence.chroma and bits.u(1):
                _ = [bits.se() for _ in range(4)]


def _forgets(bits: Bits, is_idr: bool) -> list[tuple[int, int]] | None:
    """(operation, difference) of what is to be forgotten; None where the oldest makes room."""
    if is_idr:
        bits.u(1)
        return [(6, 0)] if bits.u(1) else []
    if not bits.u(1):
        return None
    found = []
    while operation := bits.ue():
        found.append((operation, bits.ue() + 1 if operation in {1, 2, 3, 4, 6} else 0))
        if operation == 3:
            bits.ue()
    return found
