"""Flags of the operator; what decides what is planned is ``kubectl vrrp render``'s, too."""

from __future__ import annotations

import argparse
import os

from vrrp_api.election import is_key_ref
from vrrp_operator.model.vrid_limits import NUMBERS


def add_default_key_ref(parser: argparse.ArgumentParser) -> None:
    """Add ``--default-key-name`` to a parser."""
    parser.add_argument(
        "--default-key-name",
        "--default-key-ref",  # the former name, by which an earlier version's chart calls it
        dest="default_key_ref",
        metavar="NAME",
        type=_key_ref,
        help="sign elections that say nothing of authentication with this key; absent: plain",
    )


def add_lease_namespace(parser: argparse.ArgumentParser) -> None:
    """Add ``--lease-namespace`` to a parser."""
    parser.add_argument(
        "--lease-namespace",
        metavar="NAMESPACE",
        type=_namespace,
        default=os.environ.get("LEASE_NAMESPACE"),
        help="of several operators the one decides that holds the Lease in this namespace, and the"
        " others stand by (environment: LEASE_NAMESPACE); absent: this one is the only one",
    )


def add_reserved_vrids(parser: argparse.ArgumentParser) -> None:
    """Add ``--reserved-vrids`` to a parser."""
    parser.add_argument(
        "--reserved-vrids",
        metavar="NUMBERS",
        type=_vrids,
        default=frozenset(),
        help="virtual router IDs that are given to no VirtualIP which does not ask for them, as"
        " 1-10,51; absent: none",
    )


def _vrids(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last) if dash else (first, first)
        if not all(n.isascii() and n.isdecimal() and int(n) in NUMBERS for n in numbers):
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a number from 1 to 255 or a range of them (accepted: 1-10,51)"
            )
        if int(numbers[0]) > int(numbers[1]):
            raise argparse.ArgumentTypeError(f"{part!r} begins after its end (accepted: 1-10,51)")
        found.update(range(int(numbers[0]), int(numbers[1]) + 1))
    return frozenset(found)


def _namespace(text: str) -> str:
    if text and not is_key_ref(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a DNS label (accepted: kube-vrrp)")
    return text


def _key_ref(text: str) -> str:
    if not is_key_ref(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a DNS label (accepted: cluster)")
    return text
