"""A recipe's views, their kinds and their signals: what is wrong is said in one line that names the key."""

import pytest

from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError, checked_as
from retake.schema.views import SIGNALS
from tests.unit.planning.conftest import RECIPE

VIEWS = {
    "pictures": {"kind": "frames", "count": 4, "crop": 64},
    "encoded": {"kind": "stream", "size": [48, 64]},
    "moves": {"kind": "motion", "of": "encoded", "signals": ["motion", "residual"]},
    "flows": {"kind": "flow"},
}


def recipe(views=None, source=None, bank=None):
    """A recipe with VIEWS, some of them changed; `source` is the data of its stages, `bank` the view of a bank."""
    changed = {
        name: VIEWS.get(name, {}) | view if isinstance(view, dict) else view
        for name, view in (views or {}).items()
    }
    stages = {
        name: stage | {"data": [source or {"view": "pictures"}]} for name, stage in RECIPE["stages"].items()
    }
    return RECIPE | {
        "views": VIEWS | changed,
        "stages": stages,
        "mini": {},
        "banks": {} if bank is None else {"features": {"weights": "any", "view": bank}},
    }


def read(**changes):
    return checked_as(Recipe, recipe(**changes), "recipe.yaml")


def test_each_kind_is_read_with_its_defaults():
    views = read().views
    assert [view.kind for view in views.values()] == ["frames", "stream", "motion", "flow"]
    assert (views["encoded"].size, views["encoded"].gop, views["encoded"].quality) == ((48, 64), 12, 1)
    assert (views["flows"].of, views["flows"].method, views["flows"].bound_px, views["flows"].every) == (
        None, "tvl1", 20.0, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"pictures": {"sise": 3}}, "views.pictures.sise: unknown key; did you mean 'resize'?"),
        ({"encoded": {"goop": 3}}, "views.encoded.goop: unknown key; did you mean 'gop'?"),
        ({"moves": {"count": 3}}, "views.moves.count: unknown key"),
        ({"encoded": {"kind": "strem"}}, "views.encoded.kind: no kind 'strem'; did you mean 'stream'?"),
        ({"other": {"count": 1}}, "views.other.kind: missing; have flow, frames, motion, stream"),
        ({"other": 3}, "views.other: expected a mapping with kind, not 3"),
        ({"other": {"kind": "motion"}}, "views.other.signals: missing"),
        ({"moves": {"signals": []}}, "views.moves.signals: List should have at least 1 item"),
        ({"moves": {"signals": ["motoin"]}}, "views.moves.signals.0: Input should be 'iframe'"),
        ({"moves": {"signals": ["motion", "motion"]}}, "views.moves: signals: 'motion' stands twice"),
        ({"moves": {"of": "encode"}}, "views.moves.of: no view 'encode' of kind stream; did you mean 'encoded'?"),
        ({"moves": {"of": "pictures"}}, "views.moves.of: no view 'pictures' of kind stream; have encoded"),
        ({"flows": {"of": "flows"}}, "views.flows.of: no view 'flows' of kind stream"),
        ({"flows": {"method": "farneback"}}, "views.flows.method: Input should be 'tvl1'"),
        ({"flows": {"bound_px": 0}}, "views.flows.bound_px: Input should be greater than 0"),
        ({"encoded": {"block": 4}}, "views.encoded.block: Input should be 16 or 8"),
        ({"encoded": {"quality": 32}}, "views.encoded.quality: Input should be less than or equal to 31"),
        ({"encoded": {"gop": 1}}, "views.encoded.gop: Input should be greater than or equal to 2"),
        ({"encoded": {"short_side": 64}}, "views.encoded: expected either size or short_side"),
        ({"encoded": {"size": None}}, "views.encoded: expected either size or short_side"),
        ({"encoded": {"size": None, "short_side": 63}}, "views.encoded.short_side: Input should be a multiple of 2"),
        ({"moves": {"signals": ["rgb"]}}, "views.moves.signals.0: Input should be 'iframe'"),
        ({"pictures": {"sampling": "clock"}}, "count is left out exactly when sampling is 'all' or 'clock'"),
        ({"pictures": {"sampling": "clock", "count": None}}, "every_s is given exactly when sampling is 'clock'"),
        ({"pictures": {"every_s": 1.0}}, "every_s is given exactly when sampling is 'clock'"),
        (
            {"pictures": {"sampling": "clock", "count": None, "every_s": 1, "chunk_s": 9}},
            "a clock runs through a whole video",
        ),
        ({"encoded": {"size": [0, 64]}}, "views.encoded.size.0: Input should be greater than or equal to 2"),
    ],
)  # fmt: skip
def test_a_view_that_cannot_be_made_is_named(view, words):
    with pytest.raises(SettingError) as caught:
        read(views=view)
    assert words in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"view": "encoded"}, "view 'encoded' is of kind stream; expected signal: " + " or ".join(SIGNALS)),
        ({"view": "moves"}, "view 'moves' is of kind motion; expected signal: motion or residual"),
        (
            {"view": "moves", "signal": "iframe"},
            "data.signal: view 'moves' of kind motion has no signal 'iframe'; have motion, residual",
        ),
        (
            {"view": "moves", "signal": "residual_step"},
            "view 'moves' of kind motion has no signal 'residual_step'; did you mean 'residual'?",
        ),
        ({"view": "pictures", "signal": "motion"}, "view 'pictures' of kind frames takes no signal"),
        ({"view": "flows", "signal": "motion"}, "view 'flows' of kind flow takes no signal"),
        ({"bank": "features", "signal": "motion"}, "signal: a bank has none, not 'motion'"),
        ({"view": "moves", "signal": "flow"}, "data.0.signal: Input should be 'iframe'"),
    ],
)
def test_a_signal_is_named_exactly_where_there_are_several_to_choose_from(source, words):
    with pytest.raises(SettingError) as caught:
        read(source=source, bank="pictures")
    assert words in str(caught.value)
    assert "stages.first.data" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", [{"view": "encoded", "signal": "iframe"}, {"view": "moves", "signal": "residual"}, {"view": "flows"}]
)  # fmt: skip
def test_a_signal_that_the_view_has_is_read(source):
    assert read(source=source).stages["first"].data[0].signal == source.get("signal")


CLIP = {"clip": {"frames": 1, "step_s": 0}, "crop": 64}


@pytest.mark.parametrize("source", [{"view": "encoded", "signal": "rgb"}, {"view": "pictures"}])
def test_clips_are_cut_from_pictures(source):
    read(source=source | {"sample": CLIP})


@pytest.mark.parametrize("source", [{"view": "encoded", "signal": "iframe"}, {"view": "moves", "signal": "motion"},
                                    {"view": "flows"}])  # fmt: skip
def test_clips_are_cut_from_nothing_else(source):
    with pytest.raises(SettingError, match=r"sample\.clip: expected a view of kind frames, or signal rgb"):
        read(source=source | {"sample": CLIP})


def test_keys_that_came_later_are_dumped_where_they_say_something():
    """Digests of views from before stay."""
    views = {name: view.model_dump(mode="json") for name, view in read().views.items()}
    assert views["encoded"] == {"kind": "stream", "size": [48, 64], "gop": 12, "quality": 1}
    assert views["pictures"] == {
        "kind": "frames", "count": 4, "sampling": "segment_starts", "resize": None, "crop": 64, "chunk_s": None,
        "segments_of": None,
    }  # fmt: skip
    views = read(views={"encoded": {"size": None, "short_side": 64}}).views
    assert views["encoded"].model_dump(mode="json") == {
        "kind": "stream",
        "short_side": 64,
        "gop": 12,
        "quality": 1,
    }
    views = read(views={"encoded": {"block": 8}}).views
    assert views["encoded"].model_dump(mode="json")["block"] == 8
    clock = {"kind": "frames", "sampling": "clock", "every_s": 0.5, "crop": 64}
    assert read(views={"clock": clock}).views["clock"].model_dump(mode="json")["every_s"] == 0.5


def test_a_bank_is_of_frames():
    read(bank="pictures")
    with pytest.raises(SettingError, match="expected a view of kind frames, 'encoded' is of kind stream"):
        read(bank="encoded")
