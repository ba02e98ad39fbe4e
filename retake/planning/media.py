"""Views: which there are, which files a shard of each kind has, and what its job reads."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.card import WeightsCard
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError

Job = dict[str, Any]
ARRAYS = {  # kind of view -> a shard's arrays: the one that its index speaks of, then what lies beside it
    "frames": ("frames.npy",),
    "stream": ("streams.npy", "packets.npy"),
    "motion": ("packed_frames.npy", "packed.npy"),
    "flow": ("packed_frames.npy", "packed.npy"),
}


class Media:
    """The part of `retake.plan.Plan` that speaks of views; the attributes below are the plan's."""

    if TYPE_CHECKING:
        scale: str
        results: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        weights: dict[str, WeightsCard]
        weights_files: dict[str, Path]
        banks: dict[str, Job]

        def annotations(self, dataset: str) -> str: ...
        def release_of(self, dataset: str) -> str: ...
        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def shards(self, release: str) -> list[str]: ...

    @cached_property
    def views(self) -> dict[str, Job]:
        """Every view by name. Recipes, and variants of one, that use one name must agree to the value."""
        found: dict[str, tuple[Job, Any]] = {}
        for where, views in self._view_blocks():
            for name, view in views.items():
                value = view.model_dump(mode="json")
                if name in found and found[name][0] != value:
                    raise SettingError(
                        f"{where}: views.{name}: differs from the view of that name in {found[name][1]}"
                    )
                found[name] = (value, where)
        return {name: value for name, (value, _) in found.items()}

    def _view_blocks(self) -> list[tuple[Any, dict]]:
        blocks: list[tuple[Any, dict]] = [(self.recipe_files[m], r.views) for m, r in self.recipes.items()]
        for method, recipe in self.recipes.items():
            for name in [name for name, variant in recipe.variants.items() if "views" in variant.set]:
                where = f"{self.recipe_files[method]}: variants.{name}.set"
                blocks.append((where, self.recipe_of(method, name).views))
        if self.scale == "mini":
            spent = [(self.weights_files[w], card.mini.pretrain) for w, card in self.weights.items()]
            blocks += [(file, pretrain.views) for file, pretrain in spent if pretrain is not None]
        return blocks

    def views_of(self, kind: str) -> list[str]:
        """Names of the views of one kind: those that its rule makes."""
        return [name for name, view in self.views.items() if view["kind"] == kind]

    def media_shard(self, view: str, release: str, shard: str) -> str:
        """The folder of one shard of a view."""
        return f"{self.results}/media/{view}/{release}/shard{shard}"

    def view_inputs(self, view: str, release: str, shard: str) -> Job:
        """What a shard of a view is made from: the release's videos, and the stream view's shard if it names one."""
        inputs: Job = {"manifest": f"{self.results}/releases/{release}/shard{shard}.json"}
        if (of := self.views[view].get("of")) is not None:
            folder = self.media_shard(of, release, shard)
            inputs |= {"streams": f"{folder}/index.parquet", "streams_failures": f"{folder}/failures.csv"}
            inputs["arrays"] = [f"{folder}/{name}" for name in ARRAYS["stream"]]
        if (dataset := self.views[view].get("segments_of")) is not None:
            self.check_cut(view, release)
            inputs["segments"] = self.annotations(dataset)
        return inputs

    def check_cut(self, view: str, release: str) -> None:
        """A view of another table's segments is one of that table's release. Raises SettingError."""
        dataset = self.views[view].get("segments_of")
        if dataset is not None and (of := self.release_of(dataset)) != release:
            where = f"views.{view}.segments_of"
            raise SettingError(
                f"{where}: {dataset!r} reads release {of!r}, and {release!r} is seen through the view"
            )

    def shard_arrays(self, view: str, release: str, shard: str) -> list[str]:
        """The arrays of one shard of a view."""
        folder = self.media_shard(view, release, shard)
        return [f"{folder}/{name}" for name in ARRAYS[self.views[view]["kind"]]]

    def media_arrays(self, view: str, release: str) -> list[str]:
        """The arrays of all shards of a view."""
        return [path for s in self.shards(release) for path in self.shard_arrays(view, release, s)]

    def arrays_of(self, release: str, view: str | None, bank: str | None) -> tuple[str, list[str]]:
        """(the index, the arrays it points at) of a release seen through a view or written into a bank."""
        self.check_cut(view or self.banks[bank]["view"], release)
        if view is not None:
            return f"{self.results}/media/{view}/{release}/index.parquet", self.media_arrays(view, release)
        base = f"{self.results}/features/{bank}/{release}"
        return f"{base}/index.parquet", [f"{base}/shard{s}/features.npy" for s in self.shards(release)]

    def detections(self, detector: str, release: str) -> str:
        """The table of what a detector found in a release's videos."""
        return f"{self.results}/detections/{detector}/{release}/detections.parquet"

    def media_job(self, view: str, max_failures: float) -> Job:
        """What joining a view's shards needs to know."""
        beside = ARRAYS[self.views[view]["kind"]][1:]
        return {"max_failures": max_failures} | ({"beside": list(beside)} if beside else {})
