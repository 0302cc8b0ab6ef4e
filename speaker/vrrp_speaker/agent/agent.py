"""The agent's one deciding thread."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any

from vrrp.constants import State
from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.channel import EngineChannel
from vrrp_speaker.agent.checks.inputs import InputsJudge, RouterInputs
from vrrp_speaker.agent.checks.runner import CheckRunner
from vrrp_speaker.agent.config.cache import ConfigCache
from vrrp_speaker.agent.config.key_withdrawal import KeyWithdrawal
from vrrp_speaker.agent.config.keys import KeyFolder
from vrrp_speaker.agent.config.not_understood import Known
from vrrp_speaker.agent.messages import (
    CheckEnded,
    CheckNews,
    CheckTouched,
    ConfigArrived,
    ConfigRefused,
    ConfigSource,
    EngineConnected,
    EngineMessage,
    Inbox,
    KeysChanged,
    Message,
    Stop,
    TemplatesMade,
)
from vrrp_speaker.agent.programs.node_program import NodeProgram
from vrrp_speaker.agent.recording import RecordingFile
from vrrp_speaker.agent.retry import Retry
from vrrp_speaker.agent.view import CheckView, NodeView
from vrrp_speaker.memory import give_back
from vrrp_speaker.shared_state.reader import SharedStateReader
from vrrp_speaker.shared_state.values import EngineState

_log = logging.getLogger(__name__)
_STALE_NS = 2_000_000_000
_LOOKED_AT_NS = 5_000_000_000
"""How often all is looked at without news: for peers that fell silent, and lost messages."""
_LOOKED_AT_SILENT_NS = 500_000_000
"""How often, while the engine is silent: nobody tells when it no longer is."""
_PROVED_S = 10.0
"""What an engine has run for so long is what to go back to when engines end under what follows."""


class Agent:
    """Joins configuration, programs, engine and checks; owns what they mean together."""

    def __init__(
        self,
        *,
        node: str,
        inbox: Inbox,
        channel: EngineChannel,
        program: NodeProgram,
        keys: KeyFolder,
        checks: CheckRunner,
        cache: ConfigCache | None,
        recording: RecordingFile | None,
        shared_state_path: str,
        on_change: Callable[[], None],
    ) -> None:
        self._node = node
        self._inbox = inbox
        self._channel = channel
        self._program = program
        self._keys = keys
        self._checks = checks
        self._cache = cache
        self._recording = recording
        self._shared_state_path = shared_state_path
        self._on_change = on_change
        self._reader: SharedStateReader | None = None
        self._config: NodeConfig | None = None
        self._source: ConfigSource | None = None
        self._known = Known()
        self._withdrawal = KeyWithdrawal()
        self._judge = InputsJudge()
        self._cache_again = Retry()
        self._proved_at_s: float | None = None
        self._adopted = False
        self._inputs: dict[str, RouterInputs] = {}
        self._busy_since_ns: int | None = time.monotonic_ns()
        """Since when the loop has been at one message; None: it waits for the next."""
        self._reported: object = None
        self._refused = ""

    # The loop --------------------------------------------------------------------------

    def run(self) -> None:
        """Decide until ``Stop`` arrives."""
        self._program.prepare()
        while True:
            message = self._next()
            if isinstance(message, Stop):
                self._checks.stop()
                return
            if message is not None:
                self._handle(message)
            if self._checks.step(time.monotonic()):
                self._verdict_changed()
            self._try_again(time.monotonic())
            self._notice_changes()

    def _next(self) -> Message | None:
        wait_s = max(0.0, self._due_s() - time.monotonic())
        self._busy_since_ns = None
        try:
            return self._inbox.get(timeout=wait_s)
        except Empty:
            return None
        finally:
            self._busy_since_ns = time.monotonic_ns()

    def _due_s(self) -> float:
        """Return when there is something to do, whether a message comes or not."""
        now_ns = time.monotonic_ns()
        due_ns = (now_ns // _LOOKED_AT_NS + 1) * _LOOKED_AT_NS
        if self._reader is not None:
            stale_ns = self._reader.heartbeat_ns() + _STALE_NS + 1
            due_ns = min(due_ns, stale_ns if stale_ns > now_ns else now_ns + _LOOKED_AT_SILENT_NS)
        others_s = (
            self._checks.next_s(),
            self._program.again.due_s,
            self._withdrawal.due_s,
            self._cache_again.due_s,
            self._proved_at_s,
        )
        return min([due_ns / 1e9, *(due_s for due_s in others_s if due_s is not None)])

    def _handle(self, message: Message) -> None:
        match message:
            case ConfigArrived(source=source):
                self._refused = ""
                now_ns = time.monotonic_ns()
                self._configure(self._known.part_of(message, self._config, now_ns), source)
            case ConfigRefused(error=error):
                self._refused = error
                _log.error("configuration refused", extra={"error": error})
            case KeysChanged():
                _log.info("keys changed")
                self._compile()
            case TemplatesMade():
                self._templates_made(message)
            case EngineConnected():
                self._greet_engine()
            case EngineMessage(message=news):
                self._hear_engine(news)
            case CheckEnded() | CheckNews() | CheckTouched():
                if self._checks.hear(message, time.monotonic()):
                    self._verdict_changed()
            case Stop():
                raise AssertionError("handled by run")

    # Configuration ---------------------------------------------------------------------

    def _configure(self, config: NodeConfig, source: ConfigSource) -> None:
        if config == self._config and source is self._source:
            return
        fresh = self._config is None or config != self._config
        if fresh:
            _log.info(
                "configuration received",
                extra={"generation": config.generation, "source": str(source)},
            )
        self._withdrawal.note(self._config, config, time.monotonic())
        self._config, self._source = config, source
        if self._checks.configure(config.health_checks, time.monotonic()):
            self._verdict_changed()
        self._cache_again.over()
        self._store()
        if fresh:
            self._program.again.over()
            self._compile()

    def _store(self) -> None:
        """Keep the configuration for a start without the API server."""
        if self._config is None or self._cache is None or self._source is not ConfigSource.API:
            return
        try:
            self._cache.store(self._config)
        except OSError as error:
            _log.error("NodeConfig not cached", extra={"error": str(error)})
            self._cache_again.failed(time.monotonic())
        else:
            self._cache_again.over()

    def _try_again(self, now_s: float) -> None:
        """Try what failed before: a killed compiler or a full disk must not lose a change."""
        if self._program.again.take(now_s) or self._withdrawal.take(now_s):
            self._compile()
        if self._cache_again.take(now_s):
            self._store()
        if self._proved_at_s is not None and now_s >= self._proved_at_s:
            self._proved_at_s = None
            with contextlib.suppress(OSError):  # the copy is for worse days
                self._program.store.keep_proved()
            give_back()  # things are quiet now

    def _compile(self) -> None:
        """Make the program of what is to run now, and have it loaded if it is another one."""
        if self._config is None:
            return
        now_s = time.monotonic()
        config = self._withdrawal.softened(self._config, now_s)
        if not self._program.make(config, self._keys.material(), now_s):
            return
        if self._program.is_to_be_loaded:
            self._load()
        else:
            self._send_inputs()

    def _templates_made(self, made: TemplatesMade) -> None:
        if self._program.take(made, time.monotonic()):
            self._compile()

    def _load(self) -> None:
        # The program first: its new routers wait in Fault for the inputs that follow at once.
        ended = self._config.ended if self._config is not None else ()
        sent = self._channel.send({"type": "load", "ended": list(ended)})
        self._program.offered(taken=sent)
        self._send_inputs()

    # Engine ----------------------------------------------------------------------------

    def _greet_engine(self) -> None:
        self._proved_at_s = None  # the one before ended
        self._begin_recording()
        if self._program.document is None:
            return
        self._program.ensure_stored(time.monotonic())
        self._load()

    def _begin_recording(self) -> None:
        if self._recording is not None:
            self._recording.begin()
            self._channel.send({"type": "record"})

    def _record_line(self, line: Mapping[str, Any]) -> None:
        if self._recording is not None and self._recording.append(line):
            self._begin_recording()

    def _hear_engine(self, news: Mapping[str, Any]) -> None:
        match news.get("type"):
            case "transition":
                self._record(news)
            case "loaded":
                _log.info("configuration applied", extra={"generation": news["generation"]})
                self._program.again.worked()
                self._proved_at_s = time.monotonic() + _PROVED_S
            case "refused":
                self._program.refused(str(news.get("error")), time.monotonic())
            case "links-changed":
                self._program.maker.forget_links()
                self._compile()
            case "recorded":
                self._record_line(news["line"])
                return
        self._on_change()

    def _record(self, news: Mapping[str, Any]) -> None:
        # For people who read the log; what happened is in the shared state, also what was not told.
        said = {key: news[key] for key in ("from", "to", "reason", "sequence")}
        _log.info("transition", extra={"virtual_ip": news["name"], **said})

    def _verdict_changed(self) -> None:
        for name, running in self._checks.checks.items():
            _log.debug("check", extra={"check": name, "passing": running.state.passing})
        self._send_inputs()
        self._on_change()

    def _send_inputs(self) -> None:
        if self._config is None:
            return  # started from a stored program alone: the engine keeps what it knows
        self._adopt_running()
        verdicts = {name: running.verdict for name, running in self._checks.checks.items()}
        self._inputs = self._judge.judge(self._config, verdicts)
        routers = {name: inputs.to_object() for name, inputs in self._inputs.items()}
        self._channel.send({"type": "inputs", "routers": routers})

    def _adopt_running(self) -> None:
        """Leave alone, for now, the routers that ran before this agent did."""
        if self._adopted:
            return
        self._adopted = True
        self._judge.adopt(
            router["name"]
            for router, state in self.view().routers()
            if state.state in (State.ACTIVE, State.BACKUP)
        )

    def _notice_changes(self) -> None:
        """Report what the engine changed without news, such as a fault of its own."""
        reader = self._open_reader()
        if reader is None:
            return
        slots = list(self._program.slots().values())
        silent = time.monotonic_ns() - reader.heartbeat_ns() > _STALE_NS
        faults = tuple(inputs.faults for inputs in self._inputs.values())
        # Who falls silent is no news of the engine's, so it is looked for now and then.
        again = time.monotonic_ns() // _LOOKED_AT_NS
        seen = (reader.digest(slots), faults, silent, again)
        if seen != self._reported:
            self._reported = seen
            self._on_change()

    # What others may ask, from any thread ----------------------------------------------

    def engine_state(self) -> EngineState | None:
        """Return a copy of the shared state, or None while no engine ever ran."""
        reader = self._open_reader()
        return reader.snapshot(self._program.slots().values()) if reader is not None else None

    def lease_namespace(self) -> str | None:
        """Return where the node's Lease is to be renewed; None: nowhere."""
        config = self._config
        return config.lease_namespace if config is not None else None

    def _open_reader(self) -> SharedStateReader | None:
        if self._reader is None:
            with contextlib.suppress(OSError, ValueError):
                self._reader = SharedStateReader(self._shared_state_path)
        return self._reader

    def view(self) -> NodeView:
        """Return one consistent look at the node."""
        return NodeView(
            node=self._node,
            program=self._program.document,
            engine=self.engine_state(),
            input_faults={name: inputs.faults for name, inputs in self._inputs.items()},
            checks=tuple(
                CheckView(
                    name=name,
                    decided=running.state.decided,
                    passing=running.state.passing,
                    since_s=running.since_s,
                    message=running.said,
                    duration_sum_s=running.durations[0],
                    duration_count=int(running.durations[1]),
                )
                for name, running in list(self._checks.checks.items())
            ),
            desired_generation=self._config.generation if self._config else 0,
            config_source=str(self._source or ""),
            now_ns=time.monotonic_ns(),
            config_refused=bool(
                self._refused or self._program.problem or self._known.not_understood
            ),
            not_understood=self._known.not_understood,
            ignored_fields=self._known.ignored,
            keys_refused=bool(self._keys.problem),
        )

    def healthy(self) -> tuple[bool, str]:
        """Return whether this loop and the engine's loop turn."""
        now_ns = time.monotonic_ns()
        engine = self.engine_state()
        busy_since_ns = self._busy_since_ns
        if busy_since_ns is not None and now_ns - busy_since_ns > _STALE_NS:
            return False, "agent: the loop does not turn"
        if engine is None or now_ns - engine.heartbeat_ns > _STALE_NS:
            return False, "engine: the loop does not turn"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Return whether the newest configuration is applied."""
        healthy, message = self.healthy()
        if not healthy:
            return False, message
        problem = self._refused or self._program.problem
        if problem:
            return False, f"configuration: {problem}"
        if self._keys.problem:
            return False, f"keys: {self._keys.problem}"
        if self._config is None:
            return False, "configuration: none yet"
        engine = self.engine_state()
        if engine is None or not engine.loaded or engine.generation != self._config.generation:
            return False, f"configuration: generation {self._config.generation} is not applied yet"
        return True, "ok"
