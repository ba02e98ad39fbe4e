"""What Snakemake watches of our code: one file of digests for each script, and for what it finds by name."""

import sys
from functools import cached_property
from pathlib import Path

from retake.planning.code import digests_of, keep, kept_in, modules_in


class Watched:
    """The part of the plan that says which code a job runs."""

    @cached_property
    def found_by_name(self) -> dict[str, tuple[str, ...]]:
        """File of digests -> the plug-ins that its job finds by name."""
        return {}

    @cached_property
    def _watched(self) -> dict[tuple[str, tuple[str, ...]], str]:
        return {}

    @cached_property
    def _said(self) -> set[str]:
        return set()

    def code(self, script: str, *folders: str) -> str:
        """The file that has digests of all that a job of `script` runs of the package, brought up to date.

        folders  plug-in folders or files that the job finds by name
        """
        if (script, folders) not in self._watched:
            path, plugins = f"scripts/{script}.py", plugins_in(*folders)
            kept = kept_in(path, *plugins)
            changed = set(keep(kept, digests_of(path, *plugins))) - self._said
            for file in sorted(changed):
                sys.stderr.write(f"retake: {file}: changed since it was used\n")
            self._said.update(changed)
            self._watched[script, folders] = kept
            self.found_by_name[kept] = plugins
        return self._watched[script, folders]


def plugins_in(*folders: str) -> tuple[str, ...]:
    """The Python files of plug-in folders; a file is itself."""
    return tuple(f for one in folders for f in (modules_in(one) if Path(one).is_dir() else (one,)))
