"""Writes objects side by side: one that is refused keeps no other waiting, and waits by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vrrp_operator.api.api_server import ApiUnavailableError, ObjectChangedError, ObjectGoneError
from vrrp_operator.caught import Report
from vrrp_operator.metrics import Metrics
from vrrp_operator.write.apply import NotLeadingError
from vrrp_operator.write.refusals import Refusals

_log = logging.getLogger(__name__)
_FORBIDDEN = (401, 403)
IN_SHORT, FENCED = "in short", "fenced"
"""Parts of objects: what is written where the whole is refused, and a fence before it."""
_ITS_OWN = (400, 413, 422, 500)
"""Answers to what an object says: etcd's to one that is too large is a 500."""
SIDE_BY_SIDE = 8
"""How many writes are under way at a time. Each waits for the API server's disk, not for us."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One object as it is to be; ``write`` makes it so and returns whether it had to.

    None: it is as wanted already. ``part`` tells several writes of one object apart.
    """

    kind: str
    name: str
    wanted: object
    write: Callable[[], bool] | None
    part: str = ""

    @property
    def key(self) -> str:
        """By what a refusal of it is remembered, with its name."""
        return f"{self.kind} {self.part}" if self.part else self.kind


class Writes:
    """Makes the writes of cycles; remembers what was refused."""

    def __init__(self, metrics: Metrics, report: Report) -> None:
        self._metrics = metrics
        self._report = report
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="write")
        self._refusals = Refusals()
        self.undone = self.lost = False
        """Whether, since ``begin``, an object was not written, or was gone behind our back."""

    def begin_term(self) -> None:
        """Forget what was refused: another operator may have mended it."""
        self._refusals = Refusals()

    def begin(self) -> None:
        """Begin a cycle."""
        self.undone = self.lost = False

    def write(self, wish: Wish) -> bool:
        """Write one object unless it has to wait; return whether it is as wanted now.

        Raises:
            ApiUnavailableError: nobody answers, so the others would fare no better.
            NotLeadingError: nor would they while another operator leads.
        """
        return all(self.write_side_by_side([wish]))

    def write_side_by_side(self, wishes: Iterable[Wish]) -> Iterator[bool]:
        """Write objects of which none has to wait for another; yield which are as wanted now.

        Raises:
            ApiUnavailableError: nobody answered for one, after all were told of; no further one
                was begun, and none is under way.
            NotLeadingError: likewise, where another operator may lead.
        """
        now_s = time.monotonic()
        begun = [(wish, self._begin(wish, now_s)) for wish in wishes]
        unanswered: ApiUnavailableError | NotLeadingError | None = None
        for wish, answer in begun:
            if isinstance(answer, bool):
                yield answer
                continue
            if unanswered and _is_not_done(answer):
                yield False
                continue
            try:
                done = self._came_to(wish, answer.result)
            except (ApiUnavailableError, NotLeadingError) as error:
                unanswered, done = error, False
            yield done
        if unanswered is not None:
            raise unanswered

    def _begin(self, wish: Wish, now_s: float) -> Future[bool] | bool:
        """Begin a write; return whether the object is as wanted where there is nothing to do."""
        if wish.write is None:
            self._refusals.written(wish.key, wish.name)
            return True
        if self._refusals.must_wait(wish.key, wish.name, wish.wanted, now_s):
            return False
        return self._pool.submit(wish.write)

    def _came_to(self, wish: Wish, outcome: Callable[[], bool]) -> bool:
        """Note what a write comes to; return whether the object is as wanted now."""
        kind, name, key, wanted = wish.kind, wish.name, wish.key, wish.wanted
        try:
            wrote = outcome()
        except NotLeadingError:
            raise
        except ObjectChangedError as error:
            _log.info("decided again", extra={"because": str(error)})
            self.undone = True
            return False
        except ObjectGoneError:
            self.undone = self.lost = True
            return False
        except Exception as error:  # of one object; the next one may fare better
            self._metrics.refusals.labels(kind).inc()
            self._refused(key, name, wanted, error)
            return False
        if wrote:
            self._metrics.writes.labels(kind).inc()
        self._refusals.written(key, name)
        return True

    def _refused(self, kind: str, name: str, wanted: object, error: Exception) -> None:
        self.undone = True
        why, status = f"{type(error).__name__}: {error}", _ITS_OWN[0]
        passing = False
        if isinstance(error, ApiUnavailableError):
            why, status, passing = str(error), error.status, error.is_passing
        else:
            self._report("write", error)
        if why != self.why(kind).get(name):
            _log.warning("not written", extra={"kind": kind, "object": name, "error": why})
        self._refusals.refused(
            kind,
            name,
            wanted,
            why,
            time.monotonic(),
            status=status,
            passing=passing,
        )
        if not status:
            raise error

    def why(self, kind: str) -> Mapping[str, str]:
        """Return why objects of a kind are not written, by name."""
        return self._refusals.of(kind)

    def is_at_fault(self, kind: str, name: str) -> bool:
        """Return whether an object was refused for what it says."""
        return self._refusals.status_of(kind, name) in _ITS_OWN

    def forget_others(self, kind: str, names: Collection[str]) -> None:
        """Forget objects of a kind that are gone."""
        self._refusals.forget_others(kind, names)
        for part in (IN_SHORT, FENCED):
            self._refusals.forget_others(f"{kind} {part}", names)

    def forbidden(self, kind: str, names: Collection[str]) -> str:
        """Return why none of these may be written, for want of a right; empty where some may."""
        if names and all(self._refusals.status_of(kind, n) in _FORBIDDEN for n in names):
            return self.why(kind)[next(iter(names))]
        return ""

    @property
    def due_in_s(self) -> float | None:
        """In how many seconds something that was refused is to be tried again."""
        return self._refusals.due_in_s(time.monotonic())


def _is_not_done(answer: Future[bool]) -> bool:
    """Return whether a write was not begun, and is not by now, or has failed."""
    return answer.cancel() or answer.exception() is not None
