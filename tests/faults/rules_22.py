"""Links: each one that carries an election or one of its addresses is watched, and no other."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import NEWS_FILTER, NODE_NETWORK, ROUTER_FAULTS, netns, unit

_KEPT_BACK = netns("news", "what_pods_do_is_kept_back_by_the_kernel_and_what_matters_is_not")

FAULTS = (
    Fault(
        22,
        "the link of each address is watched",
        ROUTER_FAULTS,
        "(program.ifindex, *(a.ifindex for a in program.addresses))",
        "(program.ifindex,)",
        unit("engine/links", "link_of_one_address_is_a_fault_of_the_election_until_it_returns"),
    ),
    Fault(
        22,
        "the link that advertisements leave by is watched",
        ROUTER_FAULTS,
        "        return min(carriers)\n",
        "        return 0\n",
        unit("engine/links", "link_that_the_advertisements_leave_by_is_needed_too"),
    ),
    Fault(
        22,
        "a link that nobody named and nobody could choose makes no program",
        NODE_NETWORK,
        "        if interest.everything or news.ifindex in self._used_links():\n",
        "        if True:\n",
        unit("engine/interest", "what_nobody_named_and_nobody_could_choose_concerns_no_program"),
    ),
    Fault(
        22,
        "a network that could be chosen makes one",
        NODE_NETWORK,
        "            or interest.could_lead(news.address, news.prefix_length)\n",
        "",
        unit("engine/interest", "programs_depend_on_what_is_used_named_or_could_be_chosen"),
    ),
    Fault(
        22,
        "the kernel keeps back what pods do",
        NEWS_FILTER,
        "*_when(int.from_bytes(_PODS), [_KEEP_BACK]),",
        "",
        _KEPT_BACK,
    ),
)
