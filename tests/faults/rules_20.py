"""The loop waits for nobody: what it asks the kernel for is done beside it, and in order."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import CHANGES, LEASES, MAIN, RESOLUTION, WORKER, netns, unit

_HELD = netns("rtnl", "whoever_holds_the_kernels_lock_moves_no_address")

FAULTS = (
    Fault(
        20,
        "one look-up of peers at a time, which nothing waits for",
        RESOLUTION,
        "self._due and not self._looking_up",
        "self._due",
        unit("engine/resolution", "lookup_that_waits_for_the_kernels_lock_keeps_nothing_waiting"),
    ),
    Fault(
        20,
        "the worker works beside the loop",
        WORKER,
        "            if self._wake.locked():\n                self._wake.release()\n",
        "            while self.turn():\n                pass\n",
        _HELD,
    ),
    Fault(
        20,
        "what is to be taken off is neither bound nor renewed any more",
        WORKER,
        "        request.withdrawn = True\n",
        "        pass\n",
        unit(
            "engine/address_worker",
            "nothing_asked_for_before_is_done_after_an_address_was_taken_off",
        ),
    ),
    Fault(
        20,
        "addresses are taken off before anything else is done",
        WORKER,
        "            first = lanes.unbind or lanes.bind\n",
        "            first = lanes.bind or lanes.unbind\n",
        unit(
            "engine/address_worker",
            "what_takes_an_address_off_is_done_before_what_binds_and_that_before_leases",
        ),
    ),
    Fault(
        20,
        "one renewal of an address waits at most",
        WORKER,
        "                newest.asked_ns = now_ns  # it is on its way, and wanted still\n",
        "                self._ask(Kind.RENEW, router, place, address.add, now_ns)\n",
        unit(
            "engine/address_worker",
            "lease_is_renewed_once_however_often_it_was_asked_for_meanwhile",
        ),
    ),
    Fault(
        20,
        "what a loop asked for that stood still since is not done",
        WORKER,
        "        return now_ns - request.asked_ns > request.valid_ns\n",
        "        return False\n",
        unit("engine/address_worker", "what_a_loop_asked_for_that_stood_still_since_is_not_done"),
    ),
    Fault(
        20,
        "an engine without its worker ends",
        WORKER,
        "        if self._failure is not None:\n            raise self._failure\n",
        "",
        unit("engine/address_worker", "thread_works_and_its_death_ends_the_engine"),
    ),
    Fault(
        20,
        "a kernel that binds at once is waited for, so announcements are no later for it",
        LEASES,
        "        self._worker.await_bound(_MOMENT_S)\n",
        "        return\n",
        unit(
            "engine/leases",
            "kernel_that_binds_at_once_has_the_address_announced_before_its_news_come",
        ),
    ),
    Fault(
        20,
        "who cannot bind for as long as others would wait leaves it to them",
        LEASES,
        "                self._given_up.add(name)\n                self._refuse(router, now_ns)\n",
        "                pass\n",
        unit("engine/leases", "router_that_the_kernel_binds_nothing_for_leaves_it_to_others"),
    ),
    Fault(
        20,
        "and comes back as soon as the kernel is free",
        LEASES,
        "            router.lease.retry_ns = min(router.lease.retry_ns, now_ns)\n",
        "            pass\n",
        unit("engine/leases", "router_that_gave_up_is_there_again_once_the_kernel_is_free"),
    ),
    Fault(
        20,
        "what was asked for too long ago is asked for again",
        LEASES,
        "                self._ask_again(request, router, now_ns)\n",
        "                pass\n",
        unit("engine/leases", "what_is_too_old_to_be_bound_is_asked_for_again_while_active"),
    ),
    Fault(
        20,
        "news that come while all is read again are not forgotten",
        CHANGES,
        "        self._network.learn(since, Digest())\n",
        "",
        unit("engine/changes", "news_of_while_everything_was_read_are_newer_than_that"),
    ),
    Fault(
        20,
        "an engine that is to advertise does not wait for the kernel at its start",
        MAIN,
        "                due_ns = min(due_ns, sent_ns + router.adver_interval_ns)\n",
        "                pass\n",
        unit("engine/engine", "engine_that_resumes_does_not_wait_for_the_kernel"),
    ),
)
