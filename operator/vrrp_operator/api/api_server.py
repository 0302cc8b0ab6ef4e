"""Requests to the API server, and what may become of them; the official client's home."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from kubernetes import config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

APPLY = "application/apply-patch+yaml"
_WATCH_S = 60
_TIMEOUT_S = (3.0, 15.0)
_KEPT_OPEN = 32
"""Connections: statuses side by side, Events, Leases and watches. What the client keeps otherwise
depends on how many processors it finds, and one more is made and closed for each request."""
_ANSWER_READ = 1000
_NOT_FOUND = 404


class ApiUnavailableError(Exception):
    """The API server cannot be reached or refuses; nothing was lost, the next cycle tries again.

    ``status`` is HTTP's, 0 without an answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_passing(self) -> bool:
        """Whether it is the API server's own trouble: it is away, overloaded, or ails."""
        return self.status in (0, 408, 429) or self.status >= 500


class ObjectChangedError(ApiUnavailableError):
    """Somebody wrote the object meanwhile, and what was decided may be wrong by now.

    The cache has the newer one: decide again.
    """


class ObjectGoneError(ApiUnavailableError):
    """The object was deleted, and no watch told; it is out of the cache now."""


def load_client(kubeconfig: str | None) -> ApiClient:
    """Return a client for a kubeconfig, or for the pod's service account when there is none.

    Raises:
        kubernetes.config.ConfigException: neither can be used.
    """
    configuration = Configuration()
    if kubeconfig is not None:
        config.load_kube_config(kubeconfig, client_configuration=configuration)
    else:
        config.load_incluster_config(client_configuration=configuration)
    configuration.connection_pool_maxsize = _KEPT_OPEN
    return ApiClient(configuration)


class ApiServer:
    """Asks the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def find(self, path: str) -> Any:
        """Return what the API server has at a path; None where it has nothing, or does not tell.

        Raises:
            ApiUnavailableError: not reached.
        """
        try:
            return self._call("GET", path)
        except ApiUnavailableError as error:
            if not error.status:
                raise
            return None if error.status == _NOT_FOUND else {}

    def list_selected(
        self, path: str, label_selector: str
    ) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return the objects at a path that a selector picks, and the version of the list.

        Raises:
            ApiUnavailableError: not reached or refused.
        """
        answer = self._call("GET", path, query=[("labelSelector", label_selector)])
        return answer["items"], answer["metadata"]["resourceVersion"]

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what changes after a version, as (type, object), until the server ends the watch.

        Raises:
            ApiUnavailableError: not reached, refused, or broken off.
        """
        query = [
            ("labelSelector", label_selector),
            ("resourceVersion", version),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(_WATCH_S)),
        ]
        request = self._client.param_serialize(
            "GET",
            path,
            query_params=query,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=(3.0, _WATCH_S + 15.0))
            if response.status >= 400:
                text = f"{response.status} {response.read()[:500].decode(errors='replace')}"
                raise ApiUnavailableError(f"watch {path}: {text}", response.status)
            with closing(response.response) as stream:
                for line in _lines(stream.stream()):
                    event = json.loads(line)
                    yield event["type"], event["object"]
        except (ApiException, HTTPError, OSError, ValueError) as error:
            raise ApiUnavailableError(f"watch {path}: {error}") from error

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = APPLY,
        timeout_s: tuple[float, float] = _TIMEOUT_S,
    ) -> Any:
        """Return what a request is answered with; None for one to delete what is gone.

        ``timeout_s``: to connect, and to wait for an answer.

        Raises:
            ObjectGoneError: there is nothing to write over.
            ApiUnavailableError: not reached, refused, or answered with no JSON.
        """
        request = self._client.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={
                "Accept": "application/json",
                "Content-Type": content_type,
            },
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=timeout_s)
            data = response.read()
        except (ApiException, HTTPError, OSError) as error:
            raise ApiUnavailableError(f"{method} {path}: {error}") from error
        if response.status == _NOT_FOUND and method == "DELETE":
            return None
        if response.status == _NOT_FOUND and method == "PATCH":
            raise ObjectGoneError(f"{method} {path}: not found", _NOT_FOUND)
        if response.status >= 400:
            text = data[:_ANSWER_READ].decode(errors="replace")
            message = f"{method} {path}: {response.status} {text}"
            raise ApiUnavailableError(message, response.status)
        try:
            return json.loads(data)
        except ValueError as error:
            # An answer that breaks off, or a proxy's page.
            raise ApiUnavailableError(f"{method} {path}: no JSON: {error}") from error


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the complete lines of a stream."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        yield from complete
