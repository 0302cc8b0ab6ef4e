"""docs/conformance.md, made from the ledgers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.conformance.ledger import ADAPTED, APPLIES, DOES_NOT_APPLY, Ledger, Row

_INTRODUCTION = """\
# Conformance

Which demands of the VRRP RFCs hold, which hold in another way, and which do not concern us, with
the tests that prove it. Made by `python -m tests.conformance` from `tests/conformance/*.yaml`; a
test fails when this page, a row or a named test is missing.

## What a host that carries a virtual IP does otherwise

The RFCs describe routers that share a gateway address on one LAN. kube-vrrp moves service addresses
between the hosts of a cluster. Timers, election, packets and checks are the RFCs'. These are not:

- **No virtual MAC.** The address answers with the hardware address of the node that holds it; after
  a move, gratuitous ARP and unsolicited Neighbor Advertisements correct the neighbours. A neighbour
  that ignores both keeps the old entry until it ages.
- **Unicast by default.** Advertisements go to each configured peer; whoever is not on the list is
  refused before anything else is looked at. Membership, not the link, says who belongs. Multicast
  is a choice.
- **No address owner.** The address belongs to no node, so priority 255 is refused in our own
  configuration; from others it is taken as the highest priority, and counted.
- **The address always accepts packets** (Accept_Mode is true), or it would serve nothing. A Backup
  does not have the address at all.
- **No router's duties.** No forwarding for a virtual MAC, no Router Advertisements, no redirects,
  no proxy ARP. What a node forwards is its kernel's business and its administrator's.
- **One election for all addresses of a VirtualIP, of both families.** Its version and family are
  those of the first address; advertisements list the addresses of that family, the others move
  along.
- **No version 2 beside version 3.** An election has one version; the other one's messages are
  refused.
- **Counters instead of log lines.** What is odd or refused is counted by reason
  (`kube_vrrp_advertisements_rejected_total`, `kube_vrrp_advertisements_observed_total`); no packet
  of another host makes us write a line.
- **Answers are bounded.** An Active router answers a losing advertisement once in an interval, and
  a release a hundred times in one.

Statuses: *applies* as written; *adapted*: the purpose is met in another way, which is given; *does
not apply*: the situation does not exist here. *plain* is what an RFC states without a keyword. A
test marked + shows the demand met; one marked − shows the opposite case refused, or told apart.
Requirements are in our own words; the RFC decides.
"""


def render(ledgers: Sequence[Ledger]) -> str:
    """Return the whole page."""
    return "\n".join([_INTRODUCTION, *_totals(ledgers), *(_chapter(one) for one in ledgers)])


def _totals(ledgers: Sequence[Ledger]) -> Iterator[str]:
    yield "## Totals\n"
    yield "| | rows | applies | adapted | does not apply | tests |"
    yield "|---|---|---|---|---|---|"
    for ledger in ledgers:
        yield _total(f"[{ledger.title}](#{_anchor(ledger.title)})", ledger.rows)
    yield _total("all", [row for ledger in ledgers for row in ledger.rows])
    yield ""


def _total(title: str, rows: Sequence[Row]) -> str:
    counts = [sum(row.status == status for row in rows) for status in _STATUSES]
    tests = {test for row in rows for test in row.tests}
    return "| " + " | ".join([title, *map(str, (len(rows), *counts, len(tests)))]) + " |"


_STATUSES = (APPLIES, ADAPTED, DOES_NOT_APPLY)


def _anchor(title: str) -> str:
    return "".join(c for c in title.lower() if c.isalnum() or c in " -").replace(" ", "-")


def _chapter(ledger: Ledger) -> str:
    head = (
        f"## {ledger.title}\n\n"
        "| id | § | requirement | status | reason or adaptation | tests |\n"
        "|---|---|---|---|---|---|\n"
    )
    return head + "".join(map(_line, ledger.rows))


def _line(row: Row) -> str:
    requirement = f"{row.requirement} *({row.level})*"
    cells = (row.id, row.section, requirement, row.status, row.reason, _tests(row))
    return "| " + " | ".join(_cell(text) for text in cells) + " |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _tests(row: Row) -> str:
    parts = [*_links("+", row.positive), *_links("−", row.negative)]
    if row.no_negative:
        parts.append(f"no negative: {row.no_negative}")
    return "<br>".join(parts)


def _links(sign: str, tests: Iterable[str]) -> Iterator[str]:
    for test in tests:
        path, _, function = test.partition("::")
        yield f"{sign} [{function}](../{path})"
