"""torch's compiler, imported when it is asked for and not before.

No job compiles a model, yet the first step of any optimiser and the import of timm or torchvision each import
`torch._dynamo`: 2.5 s and 200 MB, in every job that touches torch. `postpone_compiler` puts a stand-in in its
place that answers the few questions asked of a compiler that is not running. Whatever else is asked of it,
`torch.compile` included, imports the real one, which takes over from there.
"""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

NAME = "torch._dynamo"
UTILS = f"{NAME}.utils"


def postpone_compiler() -> None:
    """Puts the stand-in in place; where torch or its compiler is imported already, nothing happens."""
    if "torch" in sys.modules or NAME in sys.modules:
        return
    sys.meta_path.insert(0, _Finder())
    sys.modules[NAME] = _Compiler(NAME)
    sys.modules[UTILS] = _Utils(UTILS)


def _real(name: str) -> ModuleType:
    """The module itself; stand-ins go."""
    for each in (NAME, UTILS):
        if isinstance(sys.modules.get(each), _StandIn):
            del sys.modules[each]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    return import_module(name)


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # who looks through sys.modules wants no compiler
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Compiler(_StandIn):
    """What is true of a compiler that does not run: no graph to break, nothing compiled, nothing to keep out of it."""

    __path__: list[str] = []  # a package, whose modules `_Finder` finds
    eval_frame = SimpleNamespace(OptimizedModule=type("OptimizedModule", (), {}))

    @staticmethod
    def graph_break(msg: str = "") -> None: ...

    @staticmethod
    def disable(fn: Any = None, *_: Any, **__: Any) -> Any:
        return fn if fn is not None else lambda fn: fn


class _Utils(_StandIn):
    @staticmethod
    def is_compile_supported(device_type: Any) -> Any:
        return _real(UTILS).is_compile_supported(device_type)  # type: ignore[attr-defined]


class _Finder(MetaPathFinder, Loader):
    """An import from within the compiler: the whole of it comes first, and its module is the one that it made."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if not fullname.startswith(f"{NAME}."):
            return None
        _real(NAME)
        return ModuleSpec(fullname, self) if fullname in sys.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None: ...
