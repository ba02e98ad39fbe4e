"""Stages that read rows of a bank in the place of clips: what must hold for both to be the same."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.recipes import literal_of
from retake.planning.training import Trainings
from retake.schema.card import WeightsCard
from retake.schema.protocol import Protocol
from retake.schema.recipe import Recipe, Source
from retake.schema.strict import SettingError

Job = dict[str, Any]


class StoredRows:
    """The part of `retake.plan.Plan` that holds stored rows against the stages that read them.

    A method's model.py names what rows stand for: STORED, beginnings of parameter names, and STORED_SIZES, the sizes
    that decide what those parameters make of a clip.
    """

    if TYPE_CHECKING:
        scale: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        weights: dict[str, WeightsCard]
        instead: dict[str, str]
        trainings: Trainings

        def bank_run(self, method: str, bank: str, dataset: str, seed: Any) -> Job: ...
        def made_of(self, filled: Job) -> dict[str, str]: ...
        def producer(self, filled: Job) -> tuple[Job, str] | None: ...
        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def shown(self, filled: Job) -> Source | None: ...

    def reads_stored(self, recipe: Recipe, entry: Source, protocol: Protocol) -> bool:
        """Whether answers by a protocol are made from rows: it asks one clip of each item, as its bank was shown it."""
        if entry.stored is None or not entry.stored.answers or entry.sample is None:
            return False
        one = (
            (protocol.clips or 1) == (protocol.crops or 1) == 1 and not protocol.flip and not protocol.permute
        )
        side = entry.sample.short_side[0] if entry.sample.short_side else None
        as_shown = protocol.resize is None and protocol.short_sides in (None, [side])
        least = recipe.banks[entry.stored.bank].min_score
        return one and as_shown and (protocol.min_score is None or protocol.min_score >= least)

    def check_stored(self, run: Job, stage: str, entry: Source, dataset: str) -> None:
        """Raises SettingError where a stage would learn beside other features than its own clips would give it."""
        if entry.stored is None:
            return
        method, variant, bank = run["method"], run["variant"], entry.stored.bank
        where = f"{self.recipe_files[method]}: variants.{variant}: stages.{stage}.data.stored"
        filled = self.bank_run(method, bank, dataset, run["seed"])
        into = self._begins_with(where, run, stage, self.made_of(filled)["checkpoint"], bank)
        self._check_frozen(where, run, stage, into)
        self._check_sizes(where, run, stage, filled)
        shown = self.shown(filled)
        for key, ours, theirs in _looks(entry, shown):
            if ours != theirs:
                raise SettingError(f"{where}: bank {bank!r} was shown {key} {theirs}, the stage says {ours}")

    def _begins_with(self, where: str, run: Job, stage: str, checkpoint: str, bank: str) -> Job:
        """The start that reads the checkpoint which filled the bank."""
        starts = self.trainings.begins(run, stage)
        for start in starts:
            if start["checkpoint"] == checkpoint:
                return start
        said = ", ".join(start["checkpoint"] for start in starts) or "a random start"
        raise SettingError(
            f"{where}: bank {bank!r} is filled by {checkpoint}, and the stage begins with {said}"
        )

    def _check_frozen(self, where: str, run: Job, stage: str, start: Job) -> None:
        spec = self.recipe_of(run["method"], run["variant"], run["dataset"]).stages[stage]
        for begin in self._named(run["method"], "STORED"):
            if not begin.startswith(start["into"]):
                raise SettingError(f"{where}: rows stand for {begin}*, which starts elsewhere than the bank")
            of_file = begin.removeprefix(start["into"])
            for key, patterns, name in (
                ("trainable", spec.trainable, begin), ("fresh", spec.fresh, begin),
                ("start.leave_out", start["leave_out"], of_file),
            ):  # fmt: skip
                if bad := [pattern for pattern in patterns if may_begin(pattern, name)]:
                    said = f"{key}: {bad[0]!r} may match {name}*"
                    raise SettingError(f"{where}: {said}, and what rows stand for stays as it was")

    def _check_sizes(self, where: str, run: Job, stage: str, filled: Job) -> None:
        method, made = run["method"], self.producer(filled)
        ours = self.trainings.sizes(method, run["variant"], stage, run["dataset"])
        if made is not None:
            theirs = self.trainings.sizes(method, made[0]["variant"], made[1], made[0]["dataset"])
        else:
            name = str(self.recipes[method].banks[filled["bank"]].weights)
            card = self.weights[self.instead.get(name, name)]
            theirs = dict((card.mini if self.scale == "mini" else card.paper).model)
        for name in self._named(method, "STORED_SIZES"):
            if name in theirs and theirs[name] != ours[name]:
                raise SettingError(
                    f"{where}: model.{name} is {ours[name]}, that of the bank's network {theirs[name]}"
                )

    def _named(self, method: str, constant: str) -> tuple[str, ...]:
        return tuple(literal_of(self.recipe_files[method].parent / "model.py", constant))


def _looks(entry: Source, shown: Source | None) -> list[tuple[str, Any, Any]]:
    """(key, as the stage says it, as the bank was shown it) of all that decides what an undrawn clip looks like."""
    found = []
    for source in (entry, shown):
        sample = None if source is None else source.sample
        low = sample.short_side[0] if sample is not None and sample.short_side is not None else None
        clip = None if sample is None or sample.clip is None else sample.clip.model_dump()
        crop = None if sample is None else sample.crop
        view, signal = (None, None) if source is None else (source.view, source.signal)
        found.append((view, signal, clip, low, crop))
    return list(zip(("view", "signal", "clip", "short_side", "crop"), *found, strict=True))


def may_begin(pattern: str, begin: str) -> bool:
    """Whether an fnmatch pattern matches a name that begins so."""
    places = {0}  # how far into the pattern the letters so far may have come
    for letter in begin:
        places = {after for place in _through(pattern, places) for after in _after(pattern, place, letter)}
    return bool(places)


def _through(pattern: str, places: set[int]) -> set[int]:
    """With those behind stars, which need no letter."""
    found = set(places)
    for place in sorted(places):
        at = place
        while pattern[at : at + 1] == "*":
            at += 1
            found.add(at)
    return found


def _after(pattern: str, place: int, letter: str) -> list[int]:
    """Places after one letter was read at a place of the pattern."""
    sign = pattern[place : place + 1]
    if sign == "*":
        return [place]
    end = pattern.find("]", place + (3 if pattern[place + 1 : place + 2] == "!" else 2))
    if sign == "[" and end > 0:
        return [end + 1] if fnmatchcase(letter, pattern[place : end + 1]) else []
    return [place + 1] if sign and (sign == "?" or sign == letter) else []
