"""``python -m vrrp_speaker.agent``: started by the supervisor with the speaker's own flags."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue

from prometheus_client import CollectorRegistry

from vrrp_api.node_status import NodeConfigStatus
from vrrp_http import MetricsAddressError, serve
from vrrp_speaker.agent.agent import Agent
from vrrp_speaker.agent.api_client import (
    ApiClient,
    KubeconfigError,
    in_cluster_credentials,
    load_kubeconfig,
)
from vrrp_speaker.agent.channel import EngineChannel
from vrrp_speaker.agent.checks.assembly import check_runner
from vrrp_speaker.agent.checks.probes import CheckSettings
from vrrp_speaker.agent.checks.targets import TargetsError, parse_targets
from vrrp_speaker.agent.config.api_source import ApiConfigSource
from vrrp_speaker.agent.config.cache import CacheError, ConfigCache
from vrrp_speaker.agent.config.config_file import ConfigFileError
from vrrp_speaker.agent.config.file_source import FileConfigSource
from vrrp_speaker.agent.config.keys import KeyFolder, material_of_program
from vrrp_speaker.agent.log import configure_logging
from vrrp_speaker.agent.messages import ConfigArrived, ConfigSource, Inbox, Stop
from vrrp_speaker.agent.programs.link_templates import LinkTemplates
from vrrp_speaker.agent.programs.node_program import NodeProgram
from vrrp_speaker.agent.programs.program_maker import ProgramMaker
from vrrp_speaker.agent.programs.program_store import ProgramStore
from vrrp_speaker.agent.recording import RecordingFile
from vrrp_speaker.agent.serving.control import LogLevel, Signals, serve_dump
from vrrp_speaker.agent.serving.dump import Clock, Dump, node_dump
from vrrp_speaker.agent.serving.metrics import LogCollector, NodeCollector
from vrrp_speaker.agent.status.builder import StatusBuilder
from vrrp_speaker.agent.status.writer import StatusWriter
from vrrp_speaker.links.reading import read_links
from vrrp_speaker.log_stream import LogStream
from vrrp_speaker.options import CANNOT_RUN, Options, parse_options

_log = logging.getLogger(__name__)
_LAST_STATUS_S = 1.0


def main() -> int:
    """Run the agent; return its exit status (0 stopped as asked, 4 cannot run)."""
    options = parse_options(sys.argv[1:])
    sys.stderr = stream = LogStream(2)
    configure_logging(options.log_level, options.log_format)
    level = LogLevel(options.log_level)
    signals = Signals(level)
    signals.catch()
    try:
        run(options, signals, level, stream)
    except (
        KubeconfigError,
        MetricsAddressError,
        ConfigFileError,
        RecordingError,
        TargetsError,
    ) as error:
        print(f"vrrp-speaker: {error}", file=sys.stderr, flush=True)
        return CANNOT_RUN
    return 0


def run(options: Options, signals: Signals, level: LogLevel, log: LogStream) -> None:
    """Run until SIGTERM or the supervisor's death; ``signals`` may be waiting already.

    Raises:
        KubeconfigError, MetricsAddressError, ConfigFileError, RecordingError, TargetsError: it
            cannot run as it was started.
    """
    inbox: Inbox = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda _number, _frame: inbox.put(Stop()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = _client(options)
    writer: StatusWriter | None = None
    cache_path = Path(options.state_dir) / "node-config.json"
    cache = ConfigCache(cache_path, options.node) if client else None

    def on_change() -> None:
        if writer is not None:
            writer.changed()

    channel = EngineChannel(options.socket_path, inbox)
    store = ProgramStore(Path(options.program_path))
    keys = KeyFolder(Path(options.keys_dir), inbox, material_of_program(store.stored()))
    agent = Agent(
        node=options.node,
        inbox=inbox,
        channel=channel,
        program=NodeProgram(store, ProgramMaker(LinkTemplates(inbox), read_links)),
        keys=keys,
        checks=check_runner(inbox, _check_settings(options)),
        cache=cache,
        recording=_recording(options),
        shared_state_path=options.shared_state_path,
        on_change=on_change,
    )
    registry = CollectorRegistry()
    registry.register(NodeCollector(agent.view))
    registry.register(LogCollector(options.node, lambda: log.dropped))
    serve(options.metrics_bind_address, registry, agent.healthy, agent.ready)
    _answer_questions(options, StateSource(agent, level), signals)
    if cache is not None:
        _use_cache(cache, inbox)
    if client is not None:
        writer = StatusWriter(client, options.node, StatusSource(agent), agent.lease_namespace)
        writer.start()
        ApiConfigSource(client, options.node, inbox, writer.reported).start()
    else:
        assert options.config is not None
        FileConfigSource(Path(options.config), options.node, inbox).start()
    keys.start()
    channel.start()
    threading.Thread(target=_follow_supervisor, args=(inbox,), daemon=True).start()
    agent.run()
    if writer is not None:
        writer.stop(_LAST_STATUS_S)


def _client(options: Options) -> ApiClient | None:
    if options.config is not None:
        return None
    if options.kubeconfig is not None:
        return ApiClient(load_kubeconfig(options.kubeconfig), Path(options.kubeconfig))
    return ApiClient(in_cluster_credentials())


def _check_settings(options: Options) -> CheckSettings:
    return CheckSettings(
        node=options.node,
        ca_dir=options.ca_dir,
        header_values_dir=options.header_values_dir,
        scripts_dir=options.scripts_dir,
        script_user=options.script_user,
        file_folders=options.file_folders,
        runs_per_second=options.check_runs_per_second,
        targets=parse_targets(options.check_targets),
    )


class RecordingError(Exception):
    """The recording's file cannot be made."""


def _recording(options: Options) -> RecordingFile | None:
    if options.record is None:
        return None
    try:
        return RecordingFile(Path(options.record))
    except OSError as error:
        raise RecordingError(f"recording {options.record}: {error.strerror}") from error


def _answer_questions(options: Options, state: StateSource, signals: Signals) -> None:
    signals.start(state, Path(options.dump_path))
    try:
        serve_dump(Path(options.control_path), state)
    except OSError as error:
        path = options.control_path
        _log.warning("state not served", extra={"socket": path, "error": str(error)})


def _use_cache(cache: ConfigCache, inbox: Inbox) -> None:
    try:
        reading = cache.load()
    except CacheError as error:
        _log.warning("cache not used", extra={"error": str(error)})
        return
    if reading is not None:
        inbox.put(ConfigArrived.of(reading, ConfigSource.CACHE))


def _follow_supervisor(inbox: Inbox) -> None:
    """End with the supervisor, however it went: standard input is its lifeline."""
    while os.read(0, 1):
        pass
    inbox.put(Stop())


class StatusSource:
    """Builds the status of this moment from the agent's view."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._builder = StatusBuilder()

    def __call__(self) -> NodeConfigStatus:
        """Return the status to write now."""
        return self._builder.build(self._agent.view(), time.time(), time.monotonic_ns())


class StateSource:
    """Returns the state of the node at this moment; from any thread."""

    def __init__(self, agent: Agent, level: LogLevel) -> None:
        self._agent = agent
        self._level = level

    def __call__(self) -> Dump:
        """Return the state now."""
        agent = self._agent
        return node_dump(
            agent.view(),
            agent.ready(),
            self._level.name,
            Clock(time.time(), time.monotonic_ns()),
        )


if __name__ == "__main__":
    sys.exit(main())
