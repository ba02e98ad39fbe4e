"""Pictures are linked to those that they point into once these have come, and none is kept for longer."""

from types import SimpleNamespace

import pytest

from retake.data.references import AWAY, LONGEST, ByAnchors, ByHeaders, Links, Picture, references_of
from retake.data.tracing import NO_VECTORS
from tests.unit.data.h264_units import B, I, P, head, packet, parameters, sequence


def pictures(kinds, serials=None):
    """Pictures in order of showing."""
    serials = serials or [None] * len(kinds)
    return [Picture(n, kind, 0, n, n / 25, serials[n], None, NO_VECTORS, 0) for n, kind in enumerate(kinds)]


def test_anchors_link_to_the_one_before_and_b_frames_to_both_sides():
    references, shown = ByAnchors("mpeg2video"), pictures("IBBPBP")
    for picture in shown:
        references.arrived(picture)
    i, b1, b2, p3, b4, p5 = shown
    assert (i.links, p3.links, p5.links) == (Links(None), Links(i), Links(p3))
    assert (b1.links, b2.links, b4.links) == (Links(i, p3), Links(i, p3), Links(p3, p5))


def test_b_frames_wait_for_the_anchor_after_them_until_the_end():
    references, (i, b) = ByAnchors("mpeg1video"), pictures("IB")
    references.arrived(i)
    references.arrived(b)
    assert (i.is_ready, b.is_ready, b.links) == (True, False, None)
    references.ended()
    assert b.links == Links(i, None)
    assert not b.is_ready, "the I-frame is not traced yet"
    i.done = True
    assert b.is_ready


@pytest.mark.parametrize("codec", ["mpeg4", "h263", "flv", "msmpeg4", "wmv1"])
def test_b_frames_whose_vectors_are_not_exported_are_unknown_and_nothing_links_to_them(codec):
    references, (i, b, p) = ByAnchors(codec), pictures("IBP")
    for picture in (i, b, p):
        references.arrived(picture)
    assert b.links == Links(unknown=f"the decoder does not export the vectors of {codec} B-frames")
    assert p.links == Links(i)


def fed(*heads):
    """References of a stream of H.264 after its packets."""
    references = ByHeaders(packet(sequence(references=2), parameters()))
    marked = []
    for one in heads:
        data = packet(one)
        holder = type("Packet", (bytes,), {})(data)
        references.feed(holder)
        marked.append(holder.opaque.number)
    assert marked == list(range(len(heads)))
    return references


def test_pictures_of_h264_are_linked_by_the_numbers_of_their_packets():
    references = fed(head(I, 0, 0, idr=True), head(P, 1, 4), head(B, 2, 2, reference=False))
    i, b, p = pictures("IBP", [0, 2, 1])  # shown in another order than they are decoded
    for picture in (i, b):
        references.arrived(picture)
    assert (i.links, b.links) == (Links(None, None), None)
    references.arrived(p)
    assert (p.links, b.links) == (Links(i), Links(i, p))


def test_a_reference_that_never_comes_is_said_to_be_away_at_the_end():
    references = fed(head(I, 0, 0, idr=True), head(P, 1, 2), head(P, 2, 4))
    i, p = pictures("IP", [0, 2])
    references.arrived(i)
    references.arrived(p)
    assert p.links is None
    references.ended()
    assert p.links == Links(unknown=AWAY)


def test_a_frame_that_brings_no_number_is_unknown():
    references = fed(head(I, 0, 0, idr=True))
    (one,) = pictures("I", [None])
    references.arrived(one)
    assert one.links == Links(unknown="a picture whose packet cannot be told")


def test_pictures_are_let_go_when_nothing_can_point_into_them():
    heads = [head(I, 0, 0, idr=True), *(head(P, n, 2 * n) for n in range(1, 300))]
    references = ByHeaders(packet(sequence(references=2), parameters()))
    for n, one in enumerate(heads):
        references.feed(type("Packet", (bytes,), {})(packet(one)))
        if n % 3 == 0:  # others give no frame
            references.arrived(pictures("P", [n])[0])
        assert len(references.arrivals) <= LONGEST + 8
        assert len(references.told) <= 2 * LONGEST
    references.ended()
    assert len(references.arrivals) <= LONGEST
    assert references.waiting == []


def test_the_codec_chooses_how_references_are_told():
    codec = SimpleNamespace(name="h264", extradata=b"", copy_opaque=False)
    assert isinstance(references_of(codec), ByHeaders)
    assert codec.copy_opaque
    assert isinstance(references_of(SimpleNamespace(name="mpeg4")), ByAnchors)
