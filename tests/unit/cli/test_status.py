"""``kubectl vrrp status``: a table of all that is known, whole where nobody sees its edge."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import Any

from vrrp_cli.cluster import status_table

ADDRESSES = ["192.0.2.50/24", "2001:db8:a:b::50/64", "2001:db8:ab:cd:1111:2222:3333:4444/128"]
FAULT = "AddressInUse: 2001:db8:a:b::50 is on [red]eth0[/red] :warning: " + "and more " * 60 + "end"
VIRTUAL_IP: dict[str, Any] = {
    "metadata": {"name": "a" * 200},
    "status": {
        "addresses": ADDRESSES,
        "conditions": [{"type": "Ready", "status": "False", "reason": "NoActive"}],
        "nodes": [
            {"node": "n" * 200, "state": "Fault", "effectivePriority": 200, "faults": [FAULT]},
            {"node": "node-2", "state": "Backup", "effectivePriority": 180},
        ],
    },
}
HEADS = ["VIRTUAL", "IP", "ADDRESS", "READY", "NODE", "STATE", "PRIORITY", "FAULTS"]
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_PROGRAM = f"""
from vrrp_cli import online
online._print_whole(online.status_table([{VIRTUAL_IP!r}]))
"""
_PLAIN = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}


def test_nothing_is_cut_where_the_output_is_no_terminal() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, env=_PLAIN
    )
    head, first, second = ended.stdout.splitlines()
    assert head.split() == HEADS
    for text in ("a" * 200, ", ".join(ADDRESSES), "False (NoActive)", "n" * 200, FAULT):
        assert text in first
    assert second.split() == ["node-2", "Backup", "180"]


def test_addresses_are_those_of_the_spec_until_the_operator_has_read_them() -> None:
    refused = {
        "metadata": {"name": "odd"},
        "spec": {"addresses": [{"address": "192.0.2.50/99"}, {"address": "2001:db8::50"}]},
        "status": {"observedGeneration": -1},
    }
    table = status_table([refused])
    assert list(table.columns[1].cells) == ["192.0.2.50/99, 2001:db8::50"]


def test_nothing_is_left_out_on_a_terminal() -> None:
    """It is folded there; no dots stand for the rest."""
    main, inner = pty.openpty()
    env = {**_PLAIN, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=inner, env=env) as process:
        os.close(inner)
        said = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            said += part
        assert process.wait() == 0
    os.close(main)
    text = _STYLE.sub("", said.decode())
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    assert text.count("n") >= 200
    assert text.count("a") >= 200
