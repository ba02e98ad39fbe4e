"""Writes H.264 headers bit by bit, as ITU-T H.264, clause 7.3, lays them out. Nothing follows a slice's header."""

from collections.abc import Sequence

P, B, I = range(3)  # noqa: E741
START = b"\x00\x00\x00\x01"


class Writer:
    """Bits, written one field after the other."""

    def __init__(self):
        self.bits = ""

    def u(self, count: int, value: int) -> "Writer":
        """`value` in `count` bits."""
        self.bits += f"{value:0{count}b}" if count else ""
        return self

    def ue(self, *values: int) -> "Writer":
        """Exp-Golomb numbers: as many zeros as value + 1 has digits behind its first, then its digits."""
        for value in values:
            digits = f"{value + 1:b}"
            self.bits += "0" * (len(digits) - 1) + digits
        return self

    def se(self, *values: int) -> "Writer":
        """Signed ones: 0, 1, -1, 2, -2, ... stand for 0, 1, 2, 3, 4, ..."""
        return self.ue(*(2 * value - 1 if value > 0 else -2 * value for value in values))

    def unit(self, head: int) -> bytes:
        """Closed with a 1 and zeros, bytes 0 0 [0-3] kept apart."""
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        out, zeros = bytearray([head]), 0
        for at in range(0, len(bits), 8):
            byte = int(bits[at : at + 8], 2)
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(out)


def sequence(
    *,
    profile: int = 77,
    frame_num_bits: int = 4,
    order_type: int = 0,
    order_bits: int = 6,
    references: int = 2,
    frames_only: bool = True,
    cut: Sequence[int] | None = None,
    scaling: Sequence[int] | None = None,
) -> bytes:
    """A sequence parameter set, number 0. `cut`: left, right, top, bottom; `scaling`: differences of one list of 16."""
    to = Writer().u(8, profile).u(8, 0).u(8, 40).ue(0)
    if profile == 100:
        to.ue(1, 0, 0).u(1, 0).u(1, scaling is not None)
        if scaling is not None:
            to.u(1, 1).se(*scaling).u(7, 0)
    to.ue(frame_num_bits - 4, order_type)
    if order_type == 0:
        to.ue(order_bits - 4)
    elif order_type == 1:
        to.u(1, 0).se(-3, 5).ue(2).se(7, -7)
    to.ue(references).u(1, 0).ue(3, 2).u(1, frames_only)
    if not frames_only:
        to.u(1, 0)
    to.u(1, 1).u(1, cut is not None)
    if cut is not None:
        to.ue(*cut)
    return to.u(1, 0).unit(0x67)


def parameters(
    *,
    number: int = 0,
    active: tuple[int, int] = (1, 1),
    weighted: bool = False,
    weighted_both: int = 0,
    bottom: bool = False,
    groups: int = 0,
    redundant: bool = False,
) -> bytes:
    """A picture parameter set of sequence 0."""
    to = Writer().ue(number, 0).u(1, 1).u(1, bottom).ue(groups, active[0] - 1, active[1] - 1)
    to.u(1, weighted).u(2, weighted_both).se(3, -3, 1).u(1, 1).u(1, 0)
    return to.u(1, redundant).unit(0x68)


def head(
    kind: int,
    frame_num: int,
    order: int | None = 0,
    *,
    idr: bool = False,
    reference: bool = True,
    bits: tuple[int, int] = (4, 6),
    active: tuple[int, ...] | None = None,
    changes: Sequence[Sequence[tuple[int, int]]] = (),
    forget: Sequence[Sequence[int]] | None = None,
    long: bool = False,
    weights: Writer | None = None,
    before_active: Writer | None = None,
    number: int = 0,
) -> bytes:
    """A slice's header of a picture of parameter set `number`; `order` None where it has none."""
    to = Writer().ue(0, kind + 5, number).u(bits[0], frame_num % (1 << bits[0]))
    if idr:
        to.ue(0)
    if order is not None:
        to.u(bits[1], order % (1 << bits[1]))
    to.bits += before_active.bits if before_active else ""
    if kind == B:
        to.u(1, 1)
    if kind in {P, B}:
        to.u(1, active is not None)
        if active is not None:
            to.ue(*(count - 1 for count in active))
        for side in range(1 + (kind == B)):
            listed = changes[side] if side < len(changes) else ()
            to.u(1, bool(listed))
            for operation, difference in listed:
                to.ue(operation, difference - 1)
            if listed:
                to.ue(3)
        to.bits += weights.bits if weights else ""
    if reference and idr:
        to.u(1, 0).u(1, long)
    elif reference:
        to.u(1, forget is not None)
        for entry in forget or ():
            to.ue(entry[0], *(value - 1 for value in entry[1:]))
        if forget is not None:
            to.ue(0)
    return to.unit((0x60 if reference else 0) | (5 if idr else 1))


def packet(*found: bytes) -> bytes:
    """Units after start codes."""
    return b"".join(START + one for one in found)
