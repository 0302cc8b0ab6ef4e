"""Importing parts of a library without all the rest of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from types import ModuleType


@contextmanager
def parts_alone(package: str) -> Iterator[None]:
    """Have modules of a package imported within, and its own ``__init__`` left out.

    That of pyroute2 imports sockets, databases and firewalls, a third of a second of CPU, of which
    its messages need nothing. Whoever imports the package itself later gets all of it.
    """
    found = PathFinder.find_spec(package)
    if package in sys.modules or found is None:
        yield
        return
    outline = ModuleType(package)
    outline.__path__ = list(found.submodule_search_locations or ())
    sys.modules[package] = outline
    try:
        yield
    finally:
        # The parts as well: one that is there already does not import the package around it first.
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            del sys.modules[name]
