"""A NodeConfig in a file: read whole or refused, and what is wrong has a line and a column."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, parse_node_config
from vrrp_speaker.agent.config.config_warnings import config_warnings

if TYPE_CHECKING:
    import yaml

_MOST_BYTES = 4 << 20
_MOST_FINDINGS = 20
_ITEM = re.compile(r"spec\.(virtualRouters|healthChecks)\[(\d+)\]")


Doubts = Callable[[NodeConfig], Iterable[tuple[str, str]]]
"""Yields what is doubtful in a configuration: the path of the field, and what comes of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or doubtful; line and column count from 1, 0 where there is none to name."""

    text: str
    line: int = 0
    column: int = 0

    def at(self, path: Path) -> str:
        """Return it as compilers write it: ``file:line:column: text``."""
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{path}{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file holds, and what is doubtful in it."""

    config: NodeConfig
    warnings: tuple[Finding, ...]


class ConfigFileError(Exception):
    """A standalone configuration cannot be used; the message names file, place and field."""

    def __init__(self, path: Path, *findings: Finding) -> None:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(findings[0].at(path) + more)
        self.path = path
        self.findings = findings


def read_config_file(
    path: Path, node: str | None, generation: int, doubts: Doubts = config_warnings
) -> ConfigFile:
    """Return the NodeConfig of a YAML or JSON file, with the generation given.

    Args:
        path: the file.
        node: whose it must be; None: anybody's.
        generation: what the configuration is numbered with; the file's own does not count.
        doubts: what to warn of.

    Raises:
        ConfigFileError: unreadable, wrong, or of another node; it holds up to 20 findings.
    """
    document = _Document(path, _read(path))
    config = document.node_config(generation)
    if node is not None and config.node != node:
        text = f"spec.node: {config.node!r} (this node is {node!r})"
        raise ConfigFileError(path, document.finding("spec.node", text))
    found = doubts(config)
    return ConfigFile(
        config, tuple(document.finding(where, f"{where}: {text}") for where, text in found)
    )


def _read(path: Path) -> str:
    # O_NONBLOCK: a FIFO must not hold us up for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigFileError(path, Finding(str(error.strerror))) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigFileError(path, Finding("not a regular file"))
    with open(descriptor, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ConfigFileError(path, Finding(f"larger than {_MOST_BYTES} bytes"))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigFileError(path, Finding("not UTF-8", line, column)) from error


class _Document:
    """One YAML document: the object, and where in the text each of its fields stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._root, self._object = self._load(text)
        doubles = [self._finding(node, text) for node, text in _doubles(self._root, set())]
        if doubles:
            raise ConfigFileError(path, *doubles[:_MOST_FINDINGS])

    def node_config(self, generation: int) -> NodeConfig:
        """Return the NodeConfig.

        A wrong virtual router or check is left out and the rest looked at, to find all at once.

        Raises:
            ConfigFileError: something is wrong.
        """
        obj, metadata = self._object, self._object.get("metadata", {})
        if not isinstance(metadata, Mapping):
            raise ConfigFileError(self._path, self.finding("metadata", "metadata: not an object"))
        obj = {**obj, "metadata": {**metadata, "generation": generation}}
        findings: list[Finding] = []
        left_out: dict[str, list[int]] = {"virtualRouters": [], "healthChecks": []}
        while len(findings) < _MOST_FINDINGS:
            try:
                config = parse_node_config(_without(obj, left_out))
            except FieldError as error:
                wrong = _ITEM.match(error.path)
                if wrong is None:
                    if error.path != "spec.healthChecks" or not left_out["healthChecks"]:
                        findings.append(self.finding(error.path, str(error)))
                    break
                index = _original(int(wrong[2]), left_out[wrong[1]])
                left_out[wrong[1]].append(index)
                there = f"spec.{wrong[1]}[{index}]{error.path[wrong.end() :]}"
                same = FieldError(error.subject, there, error.value, error.message)
                findings.append(self.finding(there, str(same)))
                continue
            findings += [] if findings else self._used_twice(config)
            if not findings:
                return config
            break
        raise ConfigFileError(self._path, *findings)

    def finding(self, where: str, text: str) -> Finding:
        """Return a finding at a field, or at what is there of the way to it."""
        import yaml  # noqa: PLC0415 - 2 MB, standalone mode only

        here: yaml.Node = self._root
        found = here
        for step in re.findall(r"[^.\[\]]+", where):
            if isinstance(here, yaml.MappingNode):
                items = {key.value: (key, value) for key, value in here.value}
                if step not in items:
                    break
                found, here = items[step]
            elif isinstance(here, yaml.SequenceNode) and step.isdecimal():
                if int(step) >= len(here.value):
                    break
                found = here = here.value[int(step)]
        return self._finding(found, text)

    def _used_twice(self, config: NodeConfig) -> list[Finding]:
        """Return the virtual router IDs that the engine would refuse."""
        findings, seen = [], dict[tuple[int, int], str]()
        for index, router in enumerate(config.virtual_routers):
            first = seen.setdefault((router.family, router.virtual_router_id), router.name)
            if first != router.name:
                where = f"spec.virtualRouters[{index}].virtualRouterID"
                text = (
                    f"{router.virtual_router_id} is that of {first}, too (accepted: one of its own)"
                )
                findings.append(self.finding(where, f"{where}: {text}"))
        return findings

    def _load(self, text: str) -> tuple[yaml.Node, Mapping[str, Any]]:
        import yaml  # noqa: PLC0415 - standalone mode only; 2 MB

        # The loader in C would be faster, and crashes on text that nests ten thousand levels deep.
        try:
            loader = yaml.SafeLoader(text)
            root = loader.get_single_node()
            obj = loader.construct_document(root) if root is not None else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            finding = Finding(f"not YAML: {error.problem or error.context}", *place)
            raise ConfigFileError(self._path, finding) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            text = str(error).splitlines()[0]
            raise ConfigFileError(self._path, Finding(f"not YAML: {text}")) from error
        if root is None or not isinstance(obj, dict):
            raise ConfigFileError(self._path, Finding("not a NodeConfig object", 1, 1))
        return root, obj

    def _finding(self, node: yaml.Node, text: str) -> Finding:
        return Finding(text, node.start_mark.line + 1, node.start_mark.column + 1)


def _doubles(node: yaml.Node, seen: set[int]) -> Iterator[tuple[yaml.Node, str]]:
    """Yield the keys that stand twice in one mapping: YAML would drop the first one silently."""
    if id(node) in seen or not isinstance(node.value, list):
        return
    seen.add(id(node))
    keys: set[str] = set()
    for item in node.value:
        for child in item if isinstance(item, tuple) else (item,):
            yield from _doubles(child, seen)
        if isinstance(item, tuple) and isinstance(item[0].value, str):
            if item[0].value in keys:
                yield item[0], f"{item[0].value}: stands here twice"
            keys.add(item[0].value)


def _without(obj: Mapping[str, Any], left_out: Mapping[str, list[int]]) -> Mapping[str, Any]:
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):
        return obj
    kept = {
        key: [item for index, item in enumerate(spec[key]) if index not in indices]
        for key, indices in left_out.items()
        if indices
    }
    return {**obj, "spec": {**spec, **kept}}


def _original(index: int, left_out: list[int]) -> int:
    """Return what an entry's index is with those that were left out."""
    for gone in sorted(left_out):
        index += gone <= index
    return index
