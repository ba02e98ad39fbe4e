"""Jobs that bring a release: made by the mini world, or fetched; indexed, parsed."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.recipes import HERE, fields_of, literal_of, overlaid
from retake.schema.card import Card, WeightsCard
from retake.schema.config import Config
from retake.schema.strict import SettingError, did_you_mean

Job = dict[str, Any]


class Releases:
    """The part of `retake.plan.Plan` that speaks of releases; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        file: str
        results: str
        cards: dict[str, Card]
        card_files: dict[str, Path]
        weights: dict[str, WeightsCard]
        releases: list[str]
        made: list[str]

        def root(self, release: str) -> str: ...
        def shards(self, release: str) -> list[str]: ...
        def splits(self, dataset: str) -> dict[str, int]: ...
        def manifests(self, release: str) -> list[str]: ...
        def release_of(self, dataset: str) -> str: ...

    def release_job(self, release: str) -> Job:
        """What makes a mini release: sizes, options and the world's seed."""
        card = self.cards[release]
        known = {*fields_of(HERE / "miniworld/world.py", "World")}
        known |= {*literal_of(self.card_files[release].parent / "mini.py", "OPTIONS")}
        laid = {k: v for k, v in self.config.mini_world.items() if k in known}
        options = overlaid(dict(card.mini.options), laid)
        return {
            "release": release,
            "root": self.root(release),
            "splits": self.splits(release),
            "options": options,
            "num_shards": len(self.shards(release)),
        }

    def check_mini_options(self) -> None:
        """A card's and the config's options of the mini world are ones that its makers know."""
        world = fields_of(HERE / "miniworld/world.py", "World")
        known = {
            r: {*world, *literal_of(self.card_files[r].parent / "mini.py", "OPTIONS")} for r in self.made
        }
        for release, names in known.items():
            for option in self.cards[release].mini.options:
                if option not in names:
                    where = f"{self.card_files[release]}: mini.options.{option}"
                    raise SettingError(f"{where}: no such option; {did_you_mean(option, names)}")
        for option in self.config.mini_world:
            if known and option not in (every := set().union(*known.values())):
                where = f"{self.file}: mini_world.{option}"
                raise SettingError(f"{where}: no release has such an option; {did_you_mean(option, every)}")

    def check_own(self) -> None:
        """The user's folder and table are there; where they were read before (a clone), that is not asked again."""
        own = self.config.own
        read = any(
            Path(f"{self.results}/releases/{r}/files.json").is_file()
            for r in self.releases
            if self.cards[r].access == "folder"
        )
        if own is None or read:
            return
        if not Path(own.videos).is_dir():
            raise SettingError(f"{self.file}: own.videos: {own.videos} is no folder")
        for key, table in own.tables.items():
            if not Path(table).is_file():
                raise SettingError(
                    f"{self.file}: own.{key}: {table} is no file; leave it out for videos without {key}"
                )

    def own_classes(self) -> int | None:
        """How many classes the user's table names; None where it has captions, or where there is no table."""
        labels = self.config.own.labels if self.config.own else None
        if labels is None:
            return None
        read = Path(self.root("own")) / "labels.csv"  # a clone has it there
        path = Path(labels) if Path(labels).is_file() else read
        if not path.is_file():
            raise SettingError(f"{self.file}: own.labels: {labels} is no file")
        with path.open(newline="", encoding="utf-8-sig") as file:
            return len({(row.get("label") or "").strip() for row in csv.DictReader(file)} - {""})

    def fetch_job(self, release: str) -> Job:
        """What downloads a release, or adopts a folder that the user has."""
        card = self.cards[release]
        folder = self.config.folders.get(release)
        if card.access == "folder":
            folder = self.config.own.videos
        sources = (
            []
            if folder
            else [s.model_dump(mode="json", exclude={"verified", "checked_on"}) for s in card.sources]
        )
        tables = self.config.own.tables if card.access == "folder" else {}
        job = {"release": release, "root": self.root(release), "folder": folder, "sources": sources}
        return {**job, "tables": tables}

    def index_job(self, release: str) -> Job:
        """What finds the media of a fetched release, and into how many shards they go."""
        card = self.cards[release]
        media = card.media.model_dump(mode="json") if card.media else None
        return {
            "release": release,
            "root": self.root(release),
            "media": media,
            "num_shards": len(self.shards(release)),
        }

    def weights_job(self, weights: str) -> Job:
        source = self.weights[weights].source.model_dump(mode="json")
        return {"weights": weights, "source": source, "folder": self.config.folders.get(f"weights/{weights}")}

    def refresh_releases(self) -> None:
        """Bring manifests up to date with files that changed since they were written."""
        from retake.data.release import refresh

        for release in self.releases:
            refresh(release=release, results=Path(self.results), num_shards=len(self.shards(release)))

    def annotations_job(self, dataset: str) -> Job:
        card = self.cards[dataset]
        facts = card.model_dump(
            mode="json", include={"release", "fold", "access", "media", "tasks", "splits", "counts"}
        )
        return {
            "dataset": dataset,
            "root": self.root(self.release_of(dataset)),
            "card": facts,
        }

    def parser(self, dataset: str) -> str:
        """The file that reads a data set: its own, or its release's."""
        own, shared = (self.card_files[d].with_name("parse.py") for d in (dataset, self.release_of(dataset)))
        return (own if own.is_file() else shared).as_posix()

    def annotation_inputs(self, dataset: str) -> list[str]:
        """The manifests that the parser's files stand in."""
        release = self.release_of(dataset)
        files = [f"{self.results}/releases/{release}/files.json"]
        return files + (self.manifests(release) if self.cards[release].lists_media else [])
