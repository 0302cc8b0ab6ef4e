"""Who has which virtual router ID on which node, while a plan is made (pure)."""

from __future__ import annotations


class Claims:
    """Numbers by node while a plan is made: who asked first has one."""

    def __init__(self) -> None:
        self._owners: dict[int, dict[str, str]] = {}
        self._alone: dict[int, str] = {}
        self._holders: dict[int, set[str]] = {}

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
        owners = self._owners.get(number, {})
        return {n: owners[n] for n in sorted(owners.keys() & nodes) if owners[n] != name}

    def anywhere(self, number: int, name: str) -> str | None:
        """Return another election that has a number on whatever node; None without one."""
        return min(self._holders.get(number, set()) - {name}, default=None)

    def on(self, node: str) -> dict[int, str]:
        """Return who has each number that is taken on a node."""
        found = {number: owners[node] for number, owners in self._owners.items() if node in owners}
        return {**found, **self._alone}

    def most_on_a_node(self) -> int:
        """Return how many numbers are taken on the node that has most."""
        nodes = {node for owners in self._owners.values() for node in owners}
        return max((len(self.on(node)) for node in nodes), default=len(self._alone))
