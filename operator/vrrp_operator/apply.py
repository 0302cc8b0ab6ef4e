"""The only writer to the API server, and the reader of complete lists; the official client's home.

Everything is written by server-side apply with a field manager of our own. Nothing is written when
the object already says what is wanted.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

from kubernetes import config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from vrrp_api import API_VERSION
from vrrp_operator.cache import ObjectCache
from vrrp_operator.event_budget import SeriesUpdate
from vrrp_operator.events import NAMESPACE
from vrrp_operator.fences import FENCE, Fences
from vrrp_operator.older_kinds import undeclared_by_kind

_log = logging.getLogger(__name__)
FIELD_MANAGER = "kube-vrrp-operator"
_OURS = f"/apis/{API_VERSION}"
_PATHS = {kind: f"{_OURS}/{kind}" for kind in ("virtualips", "healthchecks", "nodeconfigs")}
_PATHS["nodes"] = "/api/v1/nodes"
_WATCH_S = 60
_KINDS = {"virtualips": "VirtualIP", "healthchecks": "HealthCheck", "nodeconfigs": "NodeConfig"}
_EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
_APPLY, _CREATE = "application/apply-patch+yaml", "application/json"
_MERGE = "application/merge-patch+json"
_CONFLICT = 409
_UNKNOWN = 500
"""From here on an answer does not say whether the write was done."""
_NEVER = (400, 404, 422)
"""Answers that another try would not change."""
_TIMEOUT_S = (3.0, 15.0)
_KEPT_OPEN = 32
"""Connections: statuses side by side, Events, Leases and watches. What the client keeps otherwise
depends on how many processors it finds, and one more is made and closed for each request."""
_NOT_FOUND = 404
_ANSWER_READ = 1000


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


class Writer:
    """Lists objects and applies what was decided."""

    def __init__(self, client: ApiClient, cache: ObjectCache) -> None:
        self._client = client
        self._cache = cache
        self._fences = Fences(uuid4().hex)
        self._undeclared = undeclared_by_kind()

    def list(self, kind: str) -> tuple[list[Mapping[str, Any]], int]:
        """Return every object of a kind, and the version of the list.

        Raises:
            ApiUnavailableError: not reached or refused.
        """
        answer = self._call("GET", _PATHS[kind])
        return answer["items"], int(answer["metadata"]["resourceVersion"])

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

    def apply_node_config(self, obj: Mapping[str, Any]) -> bool:
        """Make a NodeConfig's spec equal to the one given; return whether it was written.

        What a node is to run follows from what it ran and reported, so it is written over that
        version of its object and no other: a write that comes late changes nothing.

        Raises:
            ObjectChangedError: it is another one by now; nothing was written.
            ApiUnavailableError: not reached or refused.
        """
        name = obj["metadata"]["name"]
        current = self._cache.get("nodeconfigs", name)
        obj = self._undeclared["nodeconfigs"].known_part(obj, time.monotonic())
        if current is not None and _same(current.get("spec"), obj["spec"]):
            return False
        path = f"{_PATHS['nodeconfigs']}/{name}"
        version = current["metadata"].get("resourceVersion") if current is not None else None
        if version:
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": version}}
        try:
            with self._over("nodeconfigs", name):
                self._remember("nodeconfigs", self._apply("nodeconfigs", path, obj))
        except ApiUnavailableError as error:
            if not 0 < error.status < _UNKNOWN:
                self._fences.unanswered(name)
            raise
        self._fences.answered(name)
        _log.info("NodeConfig written", extra={"node": name})
        return True

    def undeclared(self) -> frozenset[str]:
        """Return the fields that the API server's NodeConfigs lack, as far as is known."""
        return self._undeclared["nodeconfigs"].paths(time.monotonic())

    def unfenced(self) -> Sequence[str]:
        """Return the NodeConfigs that a write may change yet which was given up, by name."""
        return self._fences.missing(self._cache.names("nodeconfigs"))

    def fence(self, name: str) -> None:
        """Have every write to a NodeConfig refused that was sent before; take it in as it is now.

        Raises:
            ObjectGoneError: it does not exist any more.
            ApiUnavailableError: not reached or refused.
        """
        body = {"metadata": {"annotations": {FENCE: self._fences.text()}}}
        query = [("fieldManager", FIELD_MANAGER)]
        path = f"{_PATHS['nodeconfigs']}/{name}"
        with self._over("nodeconfigs", name):
            answer = self._call("PATCH", path, query=query, body=body, content_type=_MERGE)
            self._remember("nodeconfigs", answer)
        self._fences.answered(name)

    def delete_node_config(self, name: str) -> bool:
        """Delete the NodeConfig of a node that left the cluster, as it was looked at; return True.

        Raises:
            ObjectChangedError: it is another one by now; nothing was deleted.
            ApiUnavailableError: not reached or refused.
        """
        metadata = (self._cache.get("nodeconfigs", name) or {}).get("metadata", {})
        seen = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": seen}
        with self._over("nodeconfigs", name):
            path = f"{_PATHS['nodeconfigs']}/{name}"
            self._call("DELETE", path, body=body, content_type=_CREATE)
        return True

    def apply_status(self, kind: str, name: str, status: Mapping[str, Any], *, uid: str) -> bool:
        """Make an object's status equal to the one given; return whether it was written.

        It is written over the version that is known and no other. The API server looks at no uid
        in an apply of a status: only the version keeps one of an object that was deleted from
        landing on a new one of its name.

        Raises:
            ObjectChangedError: it is another one by now, or has another uid; nothing was written.
            ObjectGoneError: the object does not exist any more.
            ApiUnavailableError: not reached or refused.
        """
        current = self._cache.get(kind, name)
        if current is None:
            return False
        if current["metadata"].get("uid", "") != uid:
            raise ObjectChangedError(f"{_KINDS[kind]} {name} was made anew", _CONFLICT)
        if current.get("status") == status:
            return False
        version = current["metadata"].get("resourceVersion")
        obj = {
            "apiVersion": API_VERSION,
            "kind": _KINDS[kind],
            "metadata": {"name": name, **({"resourceVersion": version} if version else {})},
            "status": status,
        }
        with self._over(kind, name):
            self._remember(kind, self._apply(kind, f"{_PATHS[kind]}/{name}/status", obj))
        return True

    @contextmanager
    def _over(self, kind: str, name: str) -> Iterator[None]:
        """Write over what is known; where that is gone or another object by now, know that."""
        try:
            yield
        except ObjectGoneError:
            self._forget(kind, name)
            raise
        except ApiUnavailableError as error:
            if error.status != _CONFLICT:
                raise
            try:
                self._remember(kind, self._call("GET", f"{_PATHS[kind]}/{name}"))
            except ApiUnavailableError as unread:
                if unread.status == _NOT_FOUND:
                    self._forget(kind, name)
                    raise ObjectGoneError(str(unread), _NOT_FOUND) from error
                raise
            raise ObjectChangedError(str(error), error.status) from error

    def _forget(self, kind: str, name: str) -> None:
        known = self._cache.get(kind, name)
        if known is not None:
            self._cache.put(kind, known, deleted=True, now_s=time.monotonic())

    def _remember(self, kind: str, answer: Mapping[str, Any]) -> None:
        """Take in an object as it is now: what is decided next must not be behind that."""
        if "metadata" in answer:
            self._cache.put(kind, answer, deleted=False, now_s=time.monotonic())

    def create_event(self, obj: Mapping[str, Any]) -> str:
        """Create an Event; return what became of it: created, known or refused.

        Raises:
            ApiUnavailableError: not reached, or not now.
        """
        try:
            self._call("POST", _EVENTS, body=obj, content_type=_CREATE)
        except ApiUnavailableError as error:
            if error.status == _CONFLICT:
                return "known"
            if error.status not in _NEVER:
                raise
            _log.warning("event refused", extra={"error": str(error)})
            return "refused"
        return "created"

    def count_event(self, update: SeriesUpdate) -> None:
        """Write how often an Event happened by now; one that is gone has been told.

        Raises:
            ApiUnavailableError: not reached, or not now.
        """
        series = {"count": update.count, "lastObservedTime": update.last}
        path = f"{_EVENTS}/{update.name}"
        try:
            self._call("PATCH", path, body={"series": series}, content_type=_MERGE)
        except ApiUnavailableError as error:
            if error.status not in _NEVER and not isinstance(error, ObjectGoneError):
                raise

    def _apply(self, kind: str, path: str, obj: Mapping[str, Any]) -> Any:
        """Apply an object as far as its kind knows it."""
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]

        def apply(known: Mapping[str, Any]) -> Any:
            return self._call("PATCH", path, query=query, body=known)

        return self._undeclared[kind].applied(obj, apply, time.monotonic)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _APPLY,
    ) -> Any:
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
            response = self._client.call_api(*request, _request_timeout=_TIMEOUT_S)
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


def _same(current: Any, wanted: Any) -> bool:
    """Return whether what is there says what is wanted and nothing else.

    The schema of NodeConfig has no defaults, so the server adds nothing.
    """
    if current is None and wanted in ([], {}):
        return True  # the server drops a list whose last entry an apply removed
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        no_more = current.keys() <= wanted.keys()
        return no_more and all(_same(current.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(current, list):
        pairs = zip(current, wanted, strict=False)
        return len(current) == len(wanted) and all(_same(c, w) for c, w in pairs)
    return bool(current == wanted)
