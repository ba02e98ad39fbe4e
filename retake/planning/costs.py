"""What systems cost: which files a plan makes of it, and what each is made from."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.costs import COUNTED, TIMED, CostRow
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError

Job = dict[str, Any]


class Costs:
    """The part of `retake.plan.Plan` that speaks of costs; the attributes below are the plan's."""

    if TYPE_CHECKING:
        results: str
        recipes: dict[str, Recipe]

        def tables_of(self, method: str, headline: bool = False) -> list[str]: ...
        def figures_of(self, method: str, headline: bool = False) -> list[str]: ...
        def claims_of(self, method: str) -> str | None: ...

    def cost_file(self, method: str, cost: str) -> str:
        return f"{self.results}/metrics/costs/{method}/{cost}.json"

    def cost_rows(self, method: str, table: str) -> list[CostRow]:
        """Of the recipe's table; a table that the recipe does not have tells no cost."""
        tables = self.recipes[method].tables
        return list(tables[table].costs) if table in tables else []

    def costs_of_table(self, method: str, table: str) -> list[str]:
        named = dict.fromkeys(row.cost for row in self.cost_rows(method, table))
        return [self.cost_file(method, name) for name in named]

    def every_cost_file(self) -> list[str]:
        """Those that any table is made from, each once."""
        found = (path for m in self.recipes for t in self.tables_of(m) for path in self.costs_of_table(m, t))
        return list(dict.fromkeys(found))

    def cost_job(self, method: str, cost: str) -> Job:
        """What is counted or timed, and on which systems."""
        recipe = self.recipes[method]
        if cost not in recipe.costs:
            raise SettingError(f"{method}: costs: no cost {cost!r}")
        spec = recipe.costs[cost]
        systems = {name: recipe.systems[name].model_dump(mode="json") for name in spec.systems}
        return {"method": method, "cost": cost, "spec": spec.model_dump(mode="json"), "systems": systems}

    def told_costs(self, method: str, table: str) -> Job:
        """A table's cost rows as its job reads them, and what each system is called and counts as (reported.KINDS)."""
        recipe, rows = self.recipes[method], self.cost_rows(method, table)
        told = [
            {**row.model_dump(mode="json"), "systems": row.systems or list(recipe.costs[row.cost].systems)}
            for row in rows
        ]
        systems = {}
        for name in dict.fromkeys(name for row in told for name in row["systems"]):
            variant = recipe.variants.get(name)
            label = recipe.systems[name].label or (variant.label if variant else None) or name
            systems[name] = {"label": label, "kind": "M" if variant else "B"}
        return {"costs": told, "systems": systems}

    def claim_costs(self, method: str) -> list[str]:
        """The counted costs that a claim of the method speaks of."""
        recipe = self.recipes[method]
        with Path(self.claims_of(method) or "").open(encoding="utf-8", newline="") as file:
            asked = {(c["metric"], c[side]) for c in csv.DictReader(file) for side in "ab"}
        told = [
            name
            for name, cost in recipe.costs.items()
            if any((metric, system) in asked for metric in cost.metrics for system in cost.systems)
            and set(cost.metrics) <= set(COUNTED)
        ]
        return [self.cost_file(method, name) for name in told]

    def timed_files(self) -> list[str]:
        """Costs, tables and figures that hold times of this machine: no two builds make the same."""
        found = []
        for method, recipe in self.recipes.items():
            timed = {name for name, cost in recipe.costs.items() if set(cost.metrics) <= set(TIMED)}
            tables = {
                t for t in self.tables_of(method) if {r.cost for r in self.cost_rows(method, t)} & timed
            }
            asked = {r.cost for t in tables for r in self.cost_rows(method, t)} & timed
            figures = {
                name
                for name in self.figures_of(method)
                if name in recipe.figures and getattr(recipe.figures[name], "times", None) in tables
            }
            found += [self.cost_file(method, name) for name in sorted(asked)]
            for kind, names, ends in (
                ("tables", tables, ("csv", "md")),
                ("figures", figures, ("csv", "svg")),
            ):
                found += [f"{self.results}/{kind}/{method}/{n}.{end}" for n in sorted(names) for end in ends]
        return found
