"""What a plan is asked time and again: found once, and kept as long as the plan."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Asked = TypeVar("Asked", bound=Callable[..., Any])


def once(method: Asked) -> Asked:
    """A method whose answer depends on its arguments, which can be hashed, and on nothing that changes after.

    The answer is shared by all who ask, so nobody writes to it. What was raised is not kept.
    """
    key = f"_once_{method.__name__}"

    @wraps(method)
    def asked(self: Any, *given: Any, **named: Any) -> Any:
        known = self.__dict__.setdefault(key, {})
        place = (given, tuple(sorted(named.items()))) if named else given
        if place not in known:
            known[place] = method(self, *given, **named)
        return known[place]

    return asked  # type: ignore[return-value]
