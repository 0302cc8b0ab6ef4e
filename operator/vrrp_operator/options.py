"""The flag that decides what is planned, shared by the operator and ``kubectl vrrp render``."""

from __future__ import annotations

import argparse

from vrrp_api.election import is_key_ref


def add_default_key_ref(parser: argparse.ArgumentParser) -> None:
    """Add ``--default-key-ref`` to a parser."""
    parser.add_argument(
        "--default-key-ref",
        metavar="NAME",
        type=_key_ref,
        help="sign elections that say nothing of authentication with this key; absent: plain",
    )


def _key_ref(text: str) -> str:
    if not is_key_ref(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a DNS label (accepted: cluster)")
    return text
