"""Fields that the API server's kinds lack, since they are of an earlier version: left out.

A server-side apply is refused as a whole for one such field, and the answer names it. Without this,
a speaker whose kinds were rolled back under it could not report any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

ASK_AGAIN_S = 300.0
"""After so long a field is sent again: the kinds may have been upgraded meanwhile."""
_STEP = r"\.[A-Za-z0-9]+(?:\[[^\]]*\])?"
_SAID = re.compile(rf"((?:{_STEP})+): field not declared in schema")
_INDEX = re.compile(r"\[[^\]]*\]")
_T = TypeVar("_T")
_MOST_ANSWERS = 16
"""An answer is cut before it has named every field."""


class Undeclared:
    """What the kinds lack, by path without indices, as spec.virtualRouters.name; and until when.

    ``tell`` is called with the paths that are new.
    """

    def __init__(self, tell: Callable[[frozenset[str]], None]) -> None:
        self._until_s: dict[str, float] = {}
        self._told: set[str] = set()
        self._tell = tell

    def paths(self, now_s: float) -> frozenset[str]:
        """Return what is known to be lacking; ``now_s`` is monotonic."""
        return frozenset(path for path, until_s in self._until_s.items() if now_s < until_s)

    def known_part(self, obj: Mapping[str, Any], now_s: float) -> Mapping[str, Any]:
        """Return an object without the fields that are known to be lacking."""
        for path in self.paths(now_s):
            obj = _without(obj, path.split("."))
        return obj

    def learn(self, answer: str, now_s: float) -> bool:
        """Note what a refusal names; return whether there is anything new in it."""
        said = {_INDEX.sub("", found).removeprefix(".") for found in _SAID.findall(answer)}
        new = said - self.paths(now_s)
        # Replaced, not changed: another thread may be reading it.
        self._until_s = {**self._until_s, **dict.fromkeys(new, now_s + ASK_AGAIN_S)}
        untold, self._told = new - self._told, self._told | new
        if untold:
            self._tell(frozenset(untold))
        return bool(new)

    def applied(
        self,
        obj: Mapping[str, Any],
        apply: Callable[[Mapping[str, Any]], _T],
        clock: Callable[[], float],
    ) -> _T:
        """Return what ``apply`` makes of an object, without the fields for which it is refused.

        Raises:
            Exception: what ``apply`` raises for another reason.
        """
        for _ in range(_MOST_ANSWERS):
            try:
                return apply(self.known_part(obj, clock()))
            except Exception as error:
                if not self.learn(str(error), clock()):
                    raise
        return apply(self.known_part(obj, clock()))


def _without(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_without(item, path) for item in value]
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}
