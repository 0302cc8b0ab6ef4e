"""Objects that come again: parsed as ever, and only where they are others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrp_speaker.agent.repeated_json import RepeatedJson

PATH = "object", "spec", "virtualRouters"
ROUTERS = [
    {"name": f"r{number}", "addresses": ['192.0.2.1]},"', "2001:db8::1"]} for number in range(9)
]


def written(routers: object, **status: object) -> bytes:
    event = {"type": "MODIFIED", "object": {"spec": {"virtualRouters": routers}, "status": status}}
    return json.dumps(event, separators=(",", ":")).encode()


def routers_of(event: Any) -> list[Any]:
    found: list[Any] = event["object"]["spec"]["virtualRouters"]
    return found


def changed(*places: int) -> list[Any]:
    return [{**r, "name": "other"} if i in places else r for i, r in enumerate(ROUTERS)]


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (ROUTERS, 9),
        (changed(4), 8),
        (changed(0, 1, 2, 8), 5),
        (ROUTERS[1:], 8),
        (ROUTERS[:4] + ROUTERS[5:], 8),
        (ROUTERS[:-1], 8),
        ([{"name": "new"}, *ROUTERS], 9),
        ([*ROUTERS[:4], {"name": "new"}, *ROUTERS[4:]], 9),
        ([], 0),
    ],
)
def test_what_is_written_as_it_was_is_the_same_value(after: list[Any], same: int) -> None:
    reader = RepeatedJson()
    before = reader.loads(written(ROUTERS), *PATH)
    told = reader.loads(written(after), *PATH)
    assert told == json.loads(written(after))
    known = list(map(id, routers_of(before)))
    assert sum(id(router) in known for router in routers_of(told)) == same


def test_list_says_the_same_as_an_event() -> None:
    reader = RepeatedJson()
    event = reader.loads(written(ROUTERS), *PATH)
    items = [event["object"], {"spec": {"virtualRouters": []}}]
    data = json.dumps({"items": items}, separators=(",", ":")).encode()
    told = reader.loads(data, "items", 0, *PATH[1:])
    assert told == json.loads(data)
    known = told["items"][0]["spec"]["virtualRouters"]
    assert all(one is two for one, two in zip(known, routers_of(event), strict=True))
    assert reader.loads(b'{"items":[]}', "items", 0, *PATH[1:]) == {"items": []}


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"7",
        b'{"object":7,"virtualRouters":[1,2]}',
        b'{"virtualRouters":[1],"object":{"spec":{"virtualRouters":[2,3]}}}',
        b'{"object":{"spec":{"virtualRouters":["here"]}}}',
        b'{"object":{"spec":{"virtualRouters":[ 1, 2 ]}}}',
        b'{"object":{"spec":{"virtualRouters": [1]}}}',
        b'{"object":{"spec":{"virtualRouters":[]},"status":{"virtualRouters":[1]}}}',
        b'{"object":{"metadata":{"name":"\\"virtualRouters\\":["},"spec":{"virtualRouters":[1]}}}',
    ],
)
def test_what_is_written_otherwise_is_parsed_all_the_same(data: bytes) -> None:
    reader = RepeatedJson()
    for text in (data, written(ROUTERS), data):
        assert reader.loads(text, *PATH) == json.loads(text)


@pytest.mark.parametrize("cut", [1, 40, 60, 90, 200, -1])
def test_text_that_is_cut_off_is_no_json(cut: int) -> None:
    reader = RepeatedJson()
    reader.loads(written(ROUTERS), *PATH)
    with pytest.raises(json.JSONDecodeError):
        reader.loads(written(ROUTERS)[:cut], *PATH)
    assert routers_of(reader.loads(written(ROUTERS), *PATH)) == ROUTERS


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", PATH[-1]]), inner),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.lists(_JSON, max_size=4), _JSON), max_size=4))
def test_every_text_means_what_it_says(texts: list[tuple[list[Any], Any]]) -> None:
    reader = RepeatedJson()
    for routers, status in texts:
        data = written(routers, status=status)
        assert reader.loads(data, *PATH) == json.loads(data)
