"""Takes and renews the operators' Lease in a thread of its own; tells whether this one leads."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.list_watch import ListWatch
from vrrp_operator.caught import Report, log_only
from vrrp_operator.lead.leadership import Claim, Leadership, Lease
from vrrp_operator.lead.lease_store import NAME, SELECTOR, LeaseStore, lease_of

_log = logging.getLogger(__name__)
_LONGEST_S = 1.0
_REPLACED, _GONE = 409, 404
_STOPS_S = 5.0
"""An attempt that is under way takes less."""


class Leader(Protocol):
    """Who knows whether this operator leads."""

    @property
    def term(self) -> int:
        """Goes up when this operator begins to lead after another one may have."""

    @property
    def problem(self) -> ApiUnavailableError | None:
        """Why it can neither lead nor stand by; None where it can."""

    def leads(self) -> bool:
        """Return whether this operator may write now."""


class Alone:
    """The only operator: it leads."""

    term = 1
    problem = None

    def leads(self) -> bool:
        """Return True."""
        return True


def boot_clock() -> float:
    """Return seconds that go on while the process, or the machine, is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Elector:
    """This operator's part in the election; every method may be called from any thread."""

    def __init__(
        self,
        store: LeaseStore,
        leadership: Leadership,
        *,
        clock: Callable[[], float] = boot_clock,
        chance: Callable[[], float] = random.random,
        caught: Report = log_only,
    ) -> None:
        self._store = store
        self._leadership = leadership
        self._clock = clock
        self._chance = chance
        self._caught = caught
        self._lock = threading.Condition()
        self._watch = ListWatch(
            store, ApiUnavailableError, store.path, SELECTOR, self, caught=caught
        )
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._told: str | None = None
        self._changed: Callable[[], object] = lambda: None
        self._problem: ApiUnavailableError | None = None

    @property
    def term(self) -> int:
        """Goes up when this operator begins to lead after another one may have."""
        with self._lock:
            return self._leadership.term

    @property
    def problem(self) -> ApiUnavailableError | None:
        """Why it can neither lead nor stand by; None where it can."""
        with self._lock:
            return self._problem

    def leads(self) -> bool:
        """Return whether this operator may write now."""
        with self._lock:
            return not self._stopped and self._leadership.leads(self._clock())

    def start(self, changed: Callable[[], object]) -> None:
        """Take part from now on; ``changed`` is called when this operator begins or ends to lead.

        It is called by threads of the elector's own.
        """
        self._changed = changed
        self._watch.start()
        self._thread = threading.Thread(target=self._run, name="elector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Lead no more, and let another operator do so at once; may be called again."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        self._watch.stop()
        if self._thread is not None:
            self._thread.join(_STOPS_S)
        with self._lock:
            claim = self._leadership.released()
        if claim is not None and claim.over is not None:
            with suppress(ApiUnavailableError):  # it ends by itself
                self._store.release(claim.over)

    def replace(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Take in a complete list of the Leases that may be ours."""
        found = [obj for obj in objects if obj["metadata"]["name"] == NAME]
        self._saw(lease_of(found[0]) if found else None)

    def put(self, obj: Mapping[str, Any], *, deleted: bool) -> None:
        """Take in what a watch tells."""
        if obj["metadata"]["name"] == NAME:
            self._saw(None if deleted else lease_of(obj))

    def broke(self, *, refused: bool) -> None:
        """Note that the Lease cannot be seen."""
        del refused  # the attempts tell which right is missing
        with self._lock:
            self._leadership.lost_sight()

    def _saw(self, lease: Lease | None) -> None:
        with self._lock:
            self._leadership.saw(lease, self._clock())
            if self._problem is not None and self._problem.is_passing:
                self._problem = None
            self._lock.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                due_s = self._leadership.due_s() - self._clock()
                if due_s > 0 and not self._stopped:
                    self._lock.wait(min(due_s, _LONGEST_S))
                if self._stopped:
                    return
            try:
                self.turn()
            except Exception as error:  # of one answer; the next one may fare better
                self._caught("lease", error)

    def turn(self) -> None:
        """Write what is to be written now, and tell what has become of it."""
        now_s = self._clock()
        with self._lock:
            claim = self._leadership.claim(now_s)
            if claim is not None:
                self._leadership.attempted(now_s, self._chance())
        if claim is not None:
            self._attempt(claim, now_s)
        self._tell()

    def _attempt(self, claim: Claim, sent_s: float) -> None:
        try:
            version = self._store.write(claim)
        except ApiUnavailableError as error:
            if error.status == _REPLACED or (error.status == _GONE and claim.over is not None):
                self._read()
            else:
                self._failed(error)
            return
        with self._lock:
            self._leadership.written(claim, version, sent_s)
            self._problem = None

    def _read(self) -> None:
        try:
            self._saw(self._store.read())
        except ApiUnavailableError as error:
            self._failed(error)

    def _failed(self, error: ApiUnavailableError) -> None:
        with self._lock:
            self._leadership.unanswered(self._clock())
            told, self._problem = self._problem, error
        if told is None or told.status != error.status:
            _log.warning("Lease not written", extra={"error": str(error)})

    def _tell(self) -> None:
        with self._lock:
            holder = self._leadership.holder
            if self._leadership.leads(self._clock()):
                told = "leading"
            elif holder == self._leadership.identity:
                told = "standing by: the Lease could not be renewed in time"
            else:
                told = f"standing by: {holder or 'nobody'} leads"
            news, self._told = told != self._told, told
        if news:
            _log.info(told, extra={"identity": self._leadership.identity})
            self._changed()
