"""One bad thing costs itself: files, programs and moments of one node."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import unit

_AGENT, _SPEAKER = "speaker/vrrp_speaker/agent/", "speaker/vrrp_speaker/"
_NODE_PROGRAM = f"{_AGENT}programs/node_program.py"
_KEYS, _STATUS_WRITER = f"{_AGENT}config/keys.py", f"{_AGENT}status/writer.py"
_SET_ASIDE = f"{_SPEAKER}engine/programs/set_aside.py"
_LOG = f"{_SPEAKER}log_stream.py"


def _aside(function: str) -> str:
    return unit("engine/set_aside", function)


FAULTS = (
    Fault(
        21,
        "a compiler that was killed, or a disk that was full, is tried again",
        _NODE_PROGRAM,
        '        _log.error("configuration not compiled", extra={"error": error})\n'
        "        self.again.failed(now_s)\n",
        "        pass\n",
        unit("agent/node_program", "compiler_that_failed_is_told_and_tried_again"),
    ),
    Fault(
        21,
        "a program that could not be written is not taken for the one that runs",
        _NODE_PROGRAM,
        "            self._failed(str(error), now_s)\n            return False\n",
        "            self._failed(str(error), now_s)\n",
        unit("agent/node_program", "program_that_cannot_be_written_is_not_the_programs"),
    ),
    Fault(
        21,
        "half a key is not read",
        _KEYS,
        "            return  # somebody is writing\n",
        "            pass  # somebody is writing\n",
        unit("agent/keys", "key_that_is_being_written_is_not_read"),
    ),
    Fault(
        21,
        "a key that was good outlives its file",
        _KEYS,
        '                if ref not in self._material or "error" in self._material[ref]:\n',
        "                if True:\n",
        unit("agent/keys", "key_that_was_good_outlives_a_typing_error"),
    ),
    Fault(
        21,
        "and one of which nothing but its name is left",
        _KEYS,
        "                _compare(ref, self._material.get(ref, {}), material)\n",
        "",
        unit("agent/keys", "key_that_was_good_outlives_its_file") + "[lost1-c: its keys are gone]",
    ),
    Fault(
        21,
        "a status that somebody wrote over is written again",
        _STATUS_WRITER,
        "self._pace.reported(_mark(status))",
        "self._pace.reported(self._pace._written_mark)",
        unit("agent/status", "status_that_the_server_has_otherwise_is_written_again"),
    ),
    Fault(
        21,
        "a router under which engines end is set aside",
        _SET_ASIDE,
        "            notes.routers[name] = mark\n",
        "            pass\n",
        _aside("router_is_set_aside_at_the_third_end_over_it"),
    ),
    Fault(
        21,
        "and run again once it is another one",
        _SET_ASIDE,
        "known is not None and known == fingerprint(router)",
        "known is not None",
        _aside("router_that_changed_is_run_again"),
    ),
    Fault(
        21,
        "what the machine lacks is no router's fault",
        _SET_ASIDE,
        '        if isinstance(cause, MemoryError) or getattr(cause, "errno", None)'
        " in _OF_THE_MACHINE:\n",
        "        if False:\n",
        _aside("what_the_machine_lacks_is_no_routers_fault"),
    ),
    Fault(
        21,
        "a log that nobody reads is kept for a while and dropped",
        _LOG,
        "        if len(self._kept) + len(data) > _MOST_KEPT:\n            self.dropped",
        "        if False:\n            self.dropped",
        unit("speaker/log_stream", "what_waits_is_bounded"),
    ),
    Fault(
        21,
        "and so is one whose disk is full",
        _LOG,
        '                self.dropped += self._kept.count(b"\\n")\n'
        "                self._kept.clear()\n",
        "                pass\n",
        unit("speaker/log_stream", "full_disk_is_no_error"),
    ),
)
