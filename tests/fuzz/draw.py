"""Values drawn from the bounds of our schemas: at them, in between, and some beyond (pure)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).resolve().parents[2]
ODD = "odd"
_OF_VIRTUAL_IPS: Mapping[str, tuple[str, ...]] = {
    "address": (
        *("192.0.2.60/24", "192.0.2.61", "192.0.2.60/0", "192.0.2.255/24", "192.0.2.0/24"),
        *("10.255.255.255/8", "0.0.0.1/8", "240.0.0.1", "169.254.1.1/32", "223.255.255.255/31"),
        *("2001:db8::60/64", "2001:db8::61", "2001:db8::/0", "fe80::60/64", "::ffff:192.0.2.60"),
        *("::1.2.3.4", "192.0.2.12/24", "fd00::1/127"),
    ),
    "interface": ("eth0", "eth0", "eth1", "eth9", "lo", "..", "eth%d", "ünïcödé", "i" * 15),
    "advertisementInterval": ("10ms", "20ms", "200ms", "1s", "40.95s", "40s"),
    "delay": ("0s", "1ns", "1s", "1000s", "999s999ms"),
    "repeatAfter": ("0s", "1ns", "5s", "1h", "3600s"),
    "refresh": ("0s", "1s", "1000.000001ms", "60s", "1h", "59m59.999999999s"),
    "keyName": ("cluster", "old", "none", "k" * 63),
    "keyRef": ("cluster", "old", "none", "k" * 63),
    "externalPeers": ("198.51.100.1", "192.0.2.255", "192.0.2.12", "203.0.113.7"),
    "node": ("node-1", "node-2", "node-9", "n" * 253),
    "key": ("a", "example.com/" + "k" * 63, "-"),
    "values": ("yes", "v" * 63),
    "name": ("one", "two", "none", "n" * 253),
}
_BEYOND_VIRTUAL_IPS: Mapping[str, tuple[str, ...]] = {
    "address": ("127.0.0.1", "ffff::1", "192.0.2.60/33", "0.0.0.0", "192.0.2.60%eth0", "nowhere"),
    "interface": ("i" * 16, "a b", "a/b"),
    "advertisementInterval": ("1ns", "15ms", "255s", "0s", "-1s"),
    "delay": ("1001s", "-1s", "1"),
    "repeatAfter": ("1h1ns", "99999999h"),
    "refresh": ("1ns", "3ns", "999ms", "1h1ns"),
    "keyName": ("Not.A.Label", "k" * 64),
    "keyRef": ("Not.A.Label", "k" * 64),
    "externalPeers": ("255.255.255.255", "2001:db8::99", "ff02::12", "x"),
}
_OF_CHECKS: Mapping[str, tuple[str, ...]] = {
    "url": (
        *("http://127.0.0.1:1/", "https://[::1]:65535/", "http://localhost/?q=ü", "HTTP://a"),
        *("http://192.0.2.200:6443/", "http://none.invalid/", "http://127.0.0.1/" + "p" * 2031),
    ),
    "name": ("eth0", "sleep", "X-Probe", "ü" * 15, "n" * 63, "none"),
    "value": ("v", "\t", "v" * 4096),
    "expectedStatuses": ("200", "100-599", "599"),
    "bodyContains": ("ok", "ü" * 1024),
    "caName": ("ca.crt", "_" * 128),
    "caRef": ("ca.crt", "_" * 128),
    "address": (
        *("127.0.0.1:1", "[::1]:65535", "192.0.2.150:80", "none.invalid:1", "192.0.2.200:6443"),
        *("127.0.0.1", "::1", "192.0.2.100", "2001:db8::60", "1:1", "255.255.255.254"),
    ),
    "service": ("a", "_" * 256),
    "script": ("none.sh", "_" * 128),
    "args": ("", "a", "ü" * 1024, "'; \n\t$(true)"),
    "path": ("/etc/hostname", "/dev/zero", "/proc/kcore", "/ü", "/" + "p" * 255, "/x" * 2048),
    "type": ("Ready", "none", "example.com/" + "T" * 304),
    "namespace": ("default", "n" * 63),
    "interval": ("50ms", "200ms", "1s", "1h", "59m59.999999999s"),
    "timeout": ("10ms", "50ms", "1s", "1h"),
    "panicThreshold": ("Never", "1%", "100%"),
}
_BEYOND_CHECKS: Mapping[str, tuple[str, ...]] = {
    "url": ("ftp://a/", "http://a:b@c/", "http://169.254.169.254/", "http://:0/", "http://a/#b"),
    "address": ("169.254.169.254:80", "a b:1", "127.0.0.1:65536", "ff02::1", "fe80::1"),
    "interval": ("49ms", "1h1ns", "-1s", "99999999999h"),
    "timeout": ("9ms", "0s"),
    "panicThreshold": ("0%", "101%"),
    "path": ("relative", "/a/../b", "/"),
    "script": ("../x", "a/b"),
}


def schema(kind: str) -> Mapping[str, Any]:
    """Return the schema of a kind's spec; ``kind`` is as in the names of the files in crds/."""
    crd = yaml.safe_load((_ROOT / "crds" / f"{kind}.yaml").read_text(encoding="utf-8"))
    spec: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return spec["properties"]["spec"]  # type: ignore[no-any-return]  # YAML has no types


class Draw:
    """Draws values that a schema describes; texts by the names of fields."""

    def __init__(
        self,
        rng: random.Random,
        texts: Mapping[str, tuple[str, ...]],
        beyond: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.rng = rng
        self._texts, self._beyond = texts, beyond
        self._share = self.rng.choice((0.1, 0.3, 0.6))
        """How many of the optional fields are given: few make a likely spec, many an odd one."""

    def value(self, node: Mapping[str, Any], name: str = "") -> Any:
        """Return a value of this schema; now and then one that is none."""
        if self.rng.random() < 0.004:
            return self.rng.choice((None, "", 0, -1, 2**63, True, [], {}, "\x00", 1.5))
        drawn: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
            "object": self._object,
            "array": self._array,
            "integer": self._integer,
            "string": self._string,
        }
        draw = drawn.get(node["type"])
        return draw(node, name) if draw is not None else self.rng.random() < 0.5

    def _object(self, node: Mapping[str, Any], name: str) -> dict[str, Any]:
        if "additionalProperties" in node:
            keys = self.rng.sample(self._texts["key"], self.rng.randint(0, 2))
            return {key: self.value(node["additionalProperties"], "values") for key in keys}
        required = node.get("required", ())
        return {
            key: self.value(child, key)
            for key, child in node.get("properties", {}).items()
            if key in required or self.rng.random() < self._share
        }

    def _array(self, node: Mapping[str, Any], name: str) -> list[Any]:
        low, high = node.get("minItems", 0), node["maxItems"]
        count = self.rng.choice((low, max(1, low), 1, 2, 3, high))
        return [self.value(node["items"], name) for _ in range(count)]

    def _integer(self, node: Mapping[str, Any], name: str) -> int:
        if "enum" in node:
            return int(self.rng.choice(node["enum"]))
        low, high = node["minimum"], node["maximum"]
        between = self.rng.randint(low, high)
        return int(self.rng.choice((low, low + 1, between, between, high - 1, high)))

    def _string(self, node: Mapping[str, Any], name: str) -> str:
        if name in self._beyond and self.rng.random() < 0.03:
            return self.rng.choice(self._beyond[name])
        return str(self.rng.choice(node.get("enum") or self._texts.get(name) or ("x", "x" * 63)))


def draw_virtual_ip(rng: random.Random, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a VirtualIP's spec, which may be none; ``spec`` is its schema."""
    made = Draw(rng, _OF_VIRTUAL_IPS, _BEYOND_VIRTUAL_IPS)
    drawn: dict[str, Any] = made.value(spec)
    if isinstance(drawn, dict) and isinstance(drawn.get("addresses"), list):
        # Most lists of many name one twice, most selectors select nobody; a valid one says more.
        drawn["addresses"] = list({str(item): item for item in drawn["addresses"]}.values())
        for item in drawn["addresses"]:
            if isinstance(item, dict) and made.rng.random() < 0.8:
                item.pop("interface", None)
        if made.rng.random() < 0.8:
            drawn.pop("nodeSelector", None)
    return drawn


def draw_health_check(rng: random.Random, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a HealthCheck's spec, which may be none; ``spec`` is its schema."""
    made = Draw(rng, _OF_CHECKS, _BEYOND_CHECKS)
    properties: Mapping[str, Any] = spec["properties"]
    kinds = [name for name, child in properties.items() if child["type"] == "object"]
    # Of several kinds, or none, nothing is to be told but that it is to be one.
    kept = {rng.choice(kinds)} if rng.random() < 0.95 else set(rng.sample(kinds, 2))
    required = {"required": [*kept]}
    fields = {
        name: child for name, child in properties.items() if name not in kinds or name in kept
    }
    drawn: dict[str, Any] = made.value({**spec, **required, "properties": fields})
    if isinstance(drawn, dict) and rng.random() < 0.8:
        # Most pairs contradict each other; a valid one says more.
        for name in ("rise", "fall", "timeout", "panicThreshold")[rng.randint(0, 3) :]:
            drawn.pop(name, None)
    return drawn
