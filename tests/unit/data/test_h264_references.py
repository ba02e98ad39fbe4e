"""Which pictures an H.264 picture was predicted from: headers made by hand, and real streams of known structure."""

import av
import pytest

from retake.data.h264_references import Headers, Told
from tests.unit.data import clips, h264_units, streams_of
from tests.unit.data.h264_units import B, I, P, head, packet, parameters, sequence

SEVERAL = Told(unknown="blocks refer to one of several pictures, the decoder does not say to which")


def told(*heads, references=4, **given):
    """What is told of pictures of one slice each, in the order of decoding."""
    headers = Headers.of(packet(sequence(references=references, **given), parameters()))
    return [headers.read(packet(unit), serial) for serial, unit in enumerate(heads)]


START = head(I, 0, 0, idr=True)


def test_a_picture_with_one_entry_was_predicted_from_the_last_that_others_refer_to():
    heads = [START, head(P, 1, 4), head(B, 2, 2, reference=False), head(P, 2, 6), head(P, 3, 8)]
    assert told(*heads) == [Told(), Told(0), Told(0, 1), Told(1), Told(3)]


def test_two_entries_are_two_pictures_unless_only_one_is_kept():
    heads = [START, head(P, 1, 2, active=(2,)), head(P, 2, 4, active=(2,))]
    assert told(*heads) == [Told(), Told(0), SEVERAL]
    assert told(*heads, references=1) == [Told(), Told(0), Told(1)], "the oldest had to go"


def test_numbers_that_begin_again_do_not_make_a_picture_old():
    """frame_num has four bits: 16 comes as 0, behind 15."""
    heads = [START, *(head(P, n, 2 * n) for n in range(1, 19))]
    assert told(*heads) == [Told(), *(Told(n) for n in range(18))]


def test_a_list_that_is_changed_begins_with_the_picture_that_its_slice_names():
    start = [START, head(P, 1, 2), head(P, 2, 4)]
    assert told(*start, head(P, 3, 6, changes=[[(0, 3)]]))[-1] == Told(0)
    assert told(*start, head(P, 3, 6, changes=[[(0, 2)]]))[-1] == Told(1)
    # down by three, then up by two: number 0, then 2
    assert told(*start, head(P, 3, 6, active=(2,), changes=[[(0, 3), (1, 2)]]))[-1] == SEVERAL
    # the same picture twice, as encoders write it for two weights
    assert told(*start, head(P, 3, 6, active=(2,), changes=[[(0, 2), (0, 16)]]))[-1] == Told(1)
    # both entries of a B-frame's second list the past
    after = [*start, head(B, 3, 3, changes=[[], [(0, 2)]])]
    assert told(*after)[-1] == Told(1, 1)


def test_a_changed_list_counts_across_the_beginning_of_numbers():
    heads = [START, *(head(P, n, 2 * n) for n in range(1, 17)), head(P, 17, 34, changes=[[(0, 2)]])]
    assert told(*heads)[-1] == Told(15)


def test_b_frames_have_the_nearest_before_and_the_nearest_after_in_order_of_showing():
    anchors = [START, head(P, 1, 12), head(B, 2, 6)]
    expected = [Told(), Told(0), Told(0, 1)]
    assert told(*anchors, head(B, 3, 4, reference=False)) == [*expected, Told(0, 2)]
    assert told(*anchors, head(B, 3, 8, reference=False)) == [*expected, Told(2, 1)]


def test_a_second_list_that_would_be_the_first_has_its_first_two_exchanged():
    heads = [START, head(P, 1, 2), head(B, 2, 4, reference=False)]
    assert told(*heads)[-1] == Told(1, 0)


def test_orders_that_begin_again_are_later():
    """Six bits: orders of 60 and more, then small ones, are one after the other."""
    heads = [START, head(P, 1, 28), head(P, 2, 56), head(P, 3, 84), head(B, 4, 70, reference=False)]
    assert told(*heads)[-1] == Told(2, 3)


def test_a_picture_goes_when_it_is_told_to():
    heads = [START, head(P, 1, 2), head(P, 2, 4, forget=[(1, 1)]), head(P, 3, 6, active=(2,))]
    assert told(*heads)[-1] == SEVERAL
    heads = [START, head(P, 1, 2, forget=[(1, 1)]), head(P, 2, 4, active=(2,))]
    assert told(*heads)[-1] == Told(1)


def test_several_slices_of_a_picture_have_to_agree():
    headers = Headers.of(packet(sequence(references=4), parameters()))
    headers.read(packet(START), 0)
    headers.read(packet(head(P, 1, 2)), 1)
    one, other = head(P, 2, 4, reference=False), head(P, 2, 4, reference=False, changes=[[(0, 2)]])
    assert headers.read(packet(one, one), 2) == Told(1)
    assert headers.read(packet(one, other), 3) == SEVERAL
    assert headers.read(packet(one, head(I, 2, 4, reference=False)), 4) == Told(1)


def test_without_orders_pictures_are_shown_as_they_come():
    heads = [head(I, 0, None, idr=True), head(P, 1, None), head(B, 2, None, reference=False)]
    assert told(*heads, order_type=2)[-1] == Told(1, 0)
    reason = "its order of showing is not told in its header"
    plain = h264_units.Writer().se(0)
    heads = [head(kind, n, None, idr=n == 0, before_active=plain) for n, kind in enumerate([I, P, B])]
    assert told(*heads, order_type=1) == [Told(), Told(0), Told(unknown=reason)]


@pytest.mark.parametrize(
    ("heads", "reason"),
    [
        ([head(P, 3, 2)], "the stream does not start afresh"),
        ([START, head(P, 2, 2)], "pictures are missing before it"),
        ([START, head(P, 1, 2, changes=[[(0, 5)]])], "a picture that it refers to is missing"),
        ([START, head(P, 1, 2, changes=[[(2, 1)]])], "pictures are kept for long"),
        ([START, head(P, 1, 2, forget=[(4, 2)])], "pictures are kept for long"),
        ([START, b"\x42" + head(P, 1, 2)[1:]], "slices in partitions"),
        ([START, b"\x06\x05\x01"], "a picture without a header that can be read"),
        ([START, head(P, 1, 2, number=7)], "a picture without a header that can be read"),
    ],
)
def test_what_cannot_be_followed_is_unknown_with_its_reason_until_the_stream_starts_afresh(heads, reason):
    *_, last = found = told(*heads)
    assert last == Told(unknown=reason)
    if reason != "a picture that it refers to is missing" and "long" not in reason:
        assert told(*heads, head(P, 2, 4))[-1] == Told(unknown=reason)
    again = told(*heads, START, head(P, 1, 2))
    assert again[: len(found)] == found
    assert again[-2:] == [Told(), Told(len(heads))]


def test_parameters_may_come_with_a_picture():
    headers = Headers.of(None)
    assert headers.read(packet(head(P, 0)), 0).unknown == "a picture without a header that can be read"
    assert headers.read(packet(sequence(), parameters(), START), 1) == Told()
    assert headers.read(packet(head(P, 1, 2)), 2) == Told(1)


X264 = "keyint=10:min-keyint=10:scenecut=0:weightp=0:b-adapt=0:open-gop=0:"


@pytest.mark.parametrize("name", ["a.mp4", "a.h264"])
@pytest.mark.parametrize(
    "form", ["ref=1:bframes=0", "ref=1:bframes=2:b-pyramid=0", "ref=2:bframes=1:b-pyramid=0"]
)
def test_streams_of_an_encoder_point_where_it_was_told_to_point(form, name, tmp_path):
    options = {"crf": "20", "x264-params": X264 + form}
    path = clips.write(tmp_path / name, streams_of.moving(30), options=options)
    with av.open(str(path)) as container:
        kinds = [frame.pict_type for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        headers = Headers.of(stream.codec_context.extradata)
        packets = [bytes(one) for one in container.demux(stream) if one.size]
    names = ["?IPB"[int(kind)] for kind in kinds]
    anchors = [n for n, kind in enumerate(names) if kind != "B"]
    order = []  # of decoding: each anchor, then the B-frames before it
    for last, anchor in zip([-1, *anchors], anchors, strict=False):
        order += [anchor, *range(last + 1, anchor)]
    assert len(order) == len(packets) == 30
    for serial, data in enumerate(packets):
        number, got = order[serial], headers.read(data, serial)
        if "ref=2" in form and got.unknown:
            assert got == SEVERAL
            assert number - max(n for n in anchors if n <= number and names[n] == "I") > 1
            continue
        before = [n for n in anchors if n < number]
        after = [n for n in anchors if n > number]
        expected = {
            "I": Told(),
            "P": Told(before and order.index(before[-1])),
            "B": Told(before and order.index(before[-1]), after and order.index(after[0])),
        }[names[number]]
        assert got == expected, (number, names[number])
