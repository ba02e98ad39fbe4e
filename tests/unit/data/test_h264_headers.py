"""Headers of H.264, written by hand and read back."""

import pytest

from retake.data import h264_headers as module
from retake.data.h264_headers import Bits, Sequence, UnknownError
from tests.unit.data import h264_units as units
from tests.unit.data.h264_units import Writer


def bits_of(text):
    return Bits(int(text.ljust(64, "1"), 2).to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("code", "number", "signed"),
    [("1", 0, 0), ("010", 1, 1), ("011", 2, -1), ("00100", 3, 2), ("00101", 4, -2), ("0001000", 7, 4)],
)
def test_numbers_are_read_as_the_standard_s_table_9_2_writes_them(code, number, signed):
    bits, again = bits_of(code), bits_of(code)
    assert (bits.ue(), again.se()) == (number, signed)
    assert bits.left == 64 - len(code)


def test_bytes_that_keep_start_codes_away_are_not_read():
    assert Bits(b"\x00\x00\x03\x01\x07").u(32) == 0x00000107
    assert Writer().u(24, 1).unit(0x67) == b"\x67\x00\x00\x03\x01\x80"


def test_a_header_that_ends_too_soon_is_unknown():
    with pytest.raises(UnknownError, match="cut off"):
        Bits(b"\x00\x00").ue()


def test_units_are_told_apart_by_start_codes_and_by_lengths():
    parts = [b"\x67abc", b"\x68d", b"\x65" + bytes(range(4, 40))]
    assert list(module.units(b"".join(b"\x00\x00\x01" + part for part in parts), 0)) == parts
    assert list(module.units(b"".join(units.START + part for part in parts), 0)) == parts
    for size in (1, 2, 4):
        joined = b"".join(len(part).to_bytes(size, "big") + part for part in parts)
        assert list(module.units(joined, size)) == parts


def test_the_header_of_an_mp4_has_its_units_and_the_bytes_of_a_length():
    first, second, third = b"\x67abcd", b"\x68e", b"\x68fg"
    box = b"\x01\x64\x00\x28" + bytes([0xFC | 1, 0xE0 | 1]) + b"\x00\x05" + first
    box += b"\x02\x00\x02" + second + b"\x00\x03" + third
    assert module.extra_units(box) == ([first, second, third], 2)
    assert module.extra_units(units.packet(first, second)) == ([first, second], 0)
    assert module.extra_units(b"") == ([], 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Sequence(4, 0, 6, False, True, False, 2, True, (0, 0))),
        ({"frame_num_bits": 9, "order_bits": 12}, Sequence(9, 0, 12, False, True, False, 2, True, (0, 0))),
        ({"order_type": 1}, Sequence(4, 1, 0, False, True, False, 2, True, (0, 0))),
        ({"order_type": 2, "references": 16}, Sequence(4, 2, 0, False, True, False, 16, True, (0, 0))),
        ({"frames_only": False}, Sequence(4, 0, 6, False, True, False, 2, False, (0, 0))),
        ({"cut": (1, 2, 3, 4)}, Sequence(4, 0, 6, False, True, False, 2, True, (1, 3))),
        ({"profile": 100}, Sequence(4, 0, 6, False, True, False, 2, True, (0, 0))),
        # a list of 16 that says all, and one that ends at its third entry (8 + 5 - 13 = 0)
        ({"profile": 100, "scaling": [1] * 16}, Sequence(4, 0, 6, False, True, False, 2, True, (0, 0))),
        ({"profile": 100, "scaling": [4, 1, -13]}, Sequence(4, 0, 6, False, True, False, 2, True, (0, 0))),
    ],
)
def test_a_sequence_s_parameters_are_read(given, expected):
    assert module.read_sequence(units.sequence(**given)) == (0, expected)


def test_a_picture_s_parameters_are_read():
    unit = units.parameters(
        number=3, active=(4, 2), weighted=True, weighted_both=2, bottom=True, redundant=True
    )
    assert module.read_parameters(unit) == (3, module.Parameters(0, True, (4, 2), True, 2, True))
    with pytest.raises(UnknownError, match="groups"):
        module.read_parameters(units.parameters(groups=1))


def read(unit, parameters=None, sequence=None):
    numbers = dict([module.read_parameters(parameters or units.parameters())])
    return module.read_slice(unit, numbers, dict([module.read_sequence(sequence or units.sequence())]))


def test_a_slice_s_header_is_read():
    (got,) = read(units.head(units.I, 5, 9, idr=True))
    assert (got.kind, got.is_idr, got.is_reference, got.frame_num, got.order) == (
        module.INTRA,
        True,
        True,
        5,
        9,
    )
    assert got.forget == []
    (got,) = read(units.head(units.I, 0, 0, idr=True, long=True))
    assert got.forget == [(6, 0)]
    (got,) = read(units.head(units.P, 6, 33, changes=[[(0, 2), (1, 16)]], forget=[(1, 3), (4, 1)]))
    assert (got.kind, got.num_active, got.changes) == (module.P, (1, 1), ([(0, 2), (1, 16)],))
    assert (got.frame_num, got.order, got.forget) == (6, 33, [(1, 3), (4, 1)])
    (got,) = read(units.head(units.P, 6, 33, active=(3,)))
    assert (got.num_active, got.forget) == ((3, 1), None)
    (got,) = read(units.head(units.B, 7, 1, reference=False, active=(2, 3), changes=[[], [(0, 1)]]))
    assert (got.kind, got.is_reference, got.num_active) == (module.B, False, (2, 3))
    assert (got.changes, got.forget) == (([], [(0, 1)]), None)


def weights(sides, count):
    """Weights of every entry for brightness, of every second one for colour."""
    to = Writer().ue(5, 4)
    for _ in range(sides):
        for n in range(count):
            to.u(1, 1).se(-9, 4).u(1, n % 2)
            if n % 2:
                to.se(1, -2, 3, -4)
    return to


def test_weights_before_what_is_to_be_forgotten_are_passed_over():
    unit = units.head(units.P, 1, active=(3,), weights=weights(1, 3), forget=[(1, 7)])
    assert read(unit, units.parameters(weighted=True))[0].forget == [(1, 7)]
    unit = units.head(units.B, 1, active=(2, 2), weights=weights(2, 2), forget=[(1, 7)])
    assert read(unit, units.parameters(weighted_both=1))[0].forget == [(1, 7)]
    for parameters in (units.parameters(weighted=True), units.parameters(weighted_both=2)):
        unit = units.head(units.B, 1, active=(2, 2), forget=[(1, 7)])
        assert read(unit, parameters)[0].forget == [(1, 7)], (
            "B-frames have other weights, or none in the header"
        )


def test_the_lower_field_s_order_and_the_number_of_a_copy_are_read():
    unit = units.head(units.P, 1, 3, before_active=Writer().se(-4))
    assert read(unit, units.parameters(bottom=True))[0].order_below == -4
    assert (
        read(units.head(units.P, 1, 3, before_active=Writer().ue(1)), units.parameters(redundant=True)) == []
    )
    assert (
        len(read(units.head(units.P, 1, 3, before_active=Writer().ue(0)), units.parameters(redundant=True)))
        == 1
    )


@pytest.mark.parametrize(
    ("unit", "sequence", "reason"),
    [
        (units.head(units.P, 1, number=2), units.sequence(), "a picture without a header that can be read"),
        (units.head(units.P, 1), units.sequence(frames_only=False), "interlaced"),
        (units.head(units.P, 1), units.sequence(cut=(0, 0, 1, 0)), "cut away at the left or the top"),
        (units.head(units.P, 1), units.sequence(cut=(1, 0, 0, 0)), "cut away at the left or the top"),
        (units.head(units.P, 1)[:2], units.sequence(), "a header is cut off"),
    ],
)
def test_a_slice_that_cannot_be_followed_says_why(unit, sequence, reason):
    with pytest.raises(UnknownError, match=f"^{reason}$"):
        read(unit, sequence=sequence)
    assert len(read(units.head(units.P, 1), sequence=units.sequence(cut=(0, 3, 0, 5)))) == 1, (
        "right, below: no matter"
    )
