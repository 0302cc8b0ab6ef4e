"""Who has which virtual router ID on which node, while a plan is made (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set


class Claims:
    """Numbers by node while a plan is made: who asked first has one."""

    def __init__(self) -> None:
        self._owners: dict[int, dict[str, str]] = {}
        self._alone: dict[int, str] = {}
        self._holders: dict[int, set[str]] = {}

    def copy(self) -> Claims:
        """Return the same claims, to which others can be added."""
        made = Claims()
        made._owners = {number: dict(owners) for number, owners in self._owners.items()}
        made._alone = dict(self._alone)
        made._holders = {number: set(holders) for number, holders in self._holders.items()}
        return made

    def know(self, number: int, name: str) -> None:
        """Note that an election has a number, on whatever node, or on none yet."""
        self._holders.setdefault(number, set()).add(name)

    def take(self, number: int, node: str, name: str) -> bool:
        """Take a number on a node; return whether the election has it there now."""
        self.know(number, name)
        owner = self._owners.setdefault(number, {}).setdefault(node, name)
        return owner == name and self.alone(number, name) is None

    def owner(self, number: int, node: str) -> str | None:
        """Return who has a number on a node."""
        return self._alone.get(number) or self._owners.get(number, {}).get(node)

    def take_alone(self, number: int, name: str) -> None:
        """Take a number in the whole cluster; nobody else may have it anywhere."""
        self.know(number, name)
        self._alone[number] = name

    def alone(self, number: int, name: str) -> str | None:
        """Return another election that has a number in the whole cluster."""
        owner = self._alone.get(number, name)
        return None if owner == name else owner

    def others(self, number: int, name: str, nodes: frozenset[str]) -> dict[str, str]:
        """Return on which of the nodes other elections have a number, with their names."""
        alone = self.alone(number, name)
        if alone is not None:
            return dict.fromkeys(sorted(nodes), alone)
        return {
            node: self._owners[number][node] for node in sorted(self.taken(number, name, nodes))
        }

    def has_other(self, number: int, name: str) -> bool:
        """Return whether another election has a number on whatever node."""
        holders = self._holders.get(number)
        return bool(holders) and holders != {name}

    def taken(self, number: int, name: str, nodes: frozenset[str]) -> Set[str]:
        """Return on which of the nodes other elections have a number, in no order."""
        if self.alone(number, name) is not None:
            return nodes
        owners = self._owners.get(number)
        if not owners:
            return frozenset()
        return {node for node in owners.keys() & nodes if owners[node] != name}

    def anywhere(self, number: int, name: str) -> str | None:
        """Return another election that has a number on whatever node; None without one."""
        return min(self._holders.get(number, set()) - {name}, default=None)

    def by_node(self) -> Mapping[str, Mapping[int, str]]:
        """Return who has each number on each node, also where nobody has one for that node."""
        found: defaultdict[str, dict[int, str]] = defaultdict(self._alone.copy)
        for number, owners in self._owners.items():
            for node, name in owners.items():
                found[node].setdefault(number, name)
        return found

    def most_on_a_node(self) -> int:
        """Return how many numbers are taken on the node that has most."""
        return max(map(len, self.by_node().values()), default=len(self._alone))
