"""``vrrp-operator try-address``, what ``helm test`` runs: make a VirtualIP, ask it, remove it."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from vrrp_api import API_VERSION
from vrrp_operator.api.api_server import load_client

COMMAND = "try-address"
_PATH = f"/apis/{API_VERSION}/virtualips"
_REQUEST_S = (3.0, 15.0)
_POLL_S = 0.2
_CONNECT_S = 1.0
_NOT_FOUND = 404


class TrialError(Exception):
    """The address did not come to be answered; the message says how far it came."""


def main(arguments: Sequence[str]) -> int:
    """Run the trial; return its exit status (0 answered, 1 not)."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the VirtualIP must not stay behind
    try:
        client = load_client(options.kubeconfig)
        api = _VirtualIPs(client, options.name)
        run_trial(api, options.address, options.port, options.timeout)
    except (ConfigException, TrialError) as error:
        print(f"vrrp-operator {COMMAND}: {error}", file=sys.stderr)
        return 1
    return 0


class _VirtualIPs:
    """One VirtualIP, by name."""

    def __init__(self, client: ApiClient, name: str) -> None:
        self._client = client
        self.name = name

    def create(self, address: str) -> None:
        """Create it with one address.

        Raises:
            TrialError: refused, or not reached.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": "VirtualIP",
            "metadata": {"name": self.name},
            "spec": {"addresses": [{"address": address}]},
        }
        self._call("POST", _PATH, body)

    def conditions(self) -> dict[str, Mapping[str, str]]:
        """Return what it says of itself, by type.

        Raises:
            TrialError: refused, or not reached.
        """
        found = self._call("GET", f"{_PATH}/{self.name}") or {}
        return {item["type"]: item for item in found.get("status", {}).get("conditions", [])}

    def delete(self) -> bool:
        """Delete it; return whether it was there.

        Raises:
            TrialError: refused, or not reached.
        """
        return self._call("DELETE", f"{_PATH}/{self.name}") is not None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = self._client.param_serialize(
            method,
            path,
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=_REQUEST_S)
            answer = json.loads(response.read())
        except (ApiException, HTTPError, OSError, ValueError) as error:
            raise TrialError(f"{method} {path}: {error}") from error
        if response.status == _NOT_FOUND:
            return None
        if response.status >= 400:
            raise TrialError(answer.get("message", f"{method} {path}: {response.status}"))
        return answer


def run_trial(api: _VirtualIPs, address: str, port: int, timeout_s: float) -> None:
    """Make the VirtualIP, wait until it is Ready and answered, and remove it, also after a failure.

    Raises:
        TrialError: not within the time; the message has the conditions.
    """
    if api.delete():
        print(f"VirtualIP {api.name} was left behind by an earlier trial; deleted")
    api.create(address)
    begun_s = time.monotonic()
    print(f"VirtualIP {api.name} with {address} created", flush=True)
    try:
        _await_answer(api, address.partition("/")[0], port, begun_s + timeout_s)
        print(f"{address} answers after {time.monotonic() - begun_s:.1f} s", flush=True)
    finally:
        api.delete()
        print(f"VirtualIP {api.name} deleted", flush=True)


def _await_answer(api: _VirtualIPs, ip: str, port: int, deadline_s: float) -> None:
    while True:
        ready = api.conditions().get("Ready", {})
        if ready.get("status") == "True" and answers(ip, port):
            return
        if time.monotonic() >= deadline_s:
            break
        time.sleep(_POLL_S)
    if ready.get("status") == "True":
        raise TrialError(
            f"{ip} is Ready ({ready['message']}) and does not answer on TCP port {port}: does"
            " anything filter between this pod and the nodes' network?"
        )
    told = "; ".join(
        f"{name}={item['status']} {item['reason']}: {item['message']}"
        for name, item in sorted(api.conditions().items())
    )
    raise TrialError(f"VirtualIP {api.name} is not Ready: {told or 'does the operator run?'}")


def answers(ip: str, port: int) -> bool:
    """Return whether a host answers for an address: also one that refuses the connection does."""
    try:
        with socket.create_connection((ip, port), timeout=_CONNECT_S):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"vrrp-operator {COMMAND}", description=__doc__)
    parser.add_argument("address", help="with its prefix length, as 192.0.2.50/24")
    parser.add_argument("--kubeconfig", help="absent: the pod's service account")
    parser.add_argument("--name", default="kube-vrrp-test", help="of the VirtualIP")
    parser.add_argument("--port", type=int, default=9105, help="TCP port that is asked")
    parser.add_argument("--timeout", type=float, default=60.0, help="in seconds")
    return parser
