"""The one place where a Virtual Router is given an event, and where its next deadline is known.

Whoever has something to tell a router – the loop, a changed program, a fault, a conflict – gives it
here: what the router asks for is done at once, and its deadline is queued anew. So no deadline is
forgotten, whoever moved it.
"""

from __future__ import annotations

import heapq

from vrrp.events import Event
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.running_router import RunningRouter


class Dispatcher:
    """Gives events to routers, in the order of the calls."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._queue: list[tuple[int, int, RunningRouter]] = []
        """Routers by their next deadline; an entry may be older than the deadline is."""
        self.acted = False
        """Whether a router did more than to advertise since somebody last looked what it means."""

    def give(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        """Have a router handle an event and do what it asks for; queue its next deadline.

        Raises:
            RouterError: a fault of ours, or something of this router that we were not made for.
        """
        if self._executor.handle(router, event, now_ns):
            self.acted = True
        self.schedule(router)

    def schedule(self, router: RunningRouter) -> None:
        """Queue the router's next deadline, unless an earlier entry will look at it anyway."""
        deadline_ns = router.machine.next_deadline_ns()
        if deadline_ns is None:
            return
        if router.queued_ns is None or deadline_ns < router.queued_ns:
            router.queued_ns = deadline_ns
            heapq.heappush(self._queue, (deadline_ns, id(router), router))

    def nearest(self) -> tuple[int, RunningRouter] | None:
        """Return the first entry: no deadline is nearer, though the router's may have moved on."""
        if not self._queue:
            return None
        due_ns, _, router = self._queue[0]
        return due_ns, router

    def is_due(self, now_ns: int) -> bool:
        """Return whether a deadline may have come."""
        return bool(self._queue) and self._queue[0][0] <= now_ns

    def pop_due(self, now_ns: int) -> RunningRouter | None:
        """Return the next router whose deadline has come; None: there is none."""
        return self.unqueue() if self.head(now_ns) is not None else None

    def head(self, until_ns: int) -> RunningRouter | None:
        """Return the router whose deadline is the next one, if that comes by then."""
        queue = self._queue
        while queue and queue[0][0] <= until_ns:
            queued_ns, _, router = queue[0]
            deadline_ns = router.machine.next_deadline_ns()
            if router.queued_ns != queued_ns:
                heapq.heappop(queue)  # a nearer entry replaced this one
            elif deadline_ns is None:
                self.unqueue()
            elif deadline_ns > queued_ns:
                # It moved on meanwhile, as in a Backup that hears the Active Router.
                router.queued_ns = deadline_ns
                heapq.heapreplace(queue, (deadline_ns, id(router), router))
            else:
                return router
        return None

    def unqueue(self) -> RunningRouter:
        """Take the first router from the queue."""
        router = heapq.heappop(self._queue)[2]
        router.queued_ns = None
        return router
