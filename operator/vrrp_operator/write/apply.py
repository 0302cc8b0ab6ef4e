"""The writer of what was decided, and the reader of complete lists.

Everything is written by server-side apply with a field manager of our own. Nothing is written when
the object already says what is wanted, nor while another operator leads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from kubernetes.client.api_client import ApiClient

from vrrp_api import API_VERSION
from vrrp_operator.api.api_server import (
    APPLY,
    ApiServer,
    ApiUnavailableError,
    ObjectChangedError,
    ObjectGoneError,
)
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.lead.elector import Alone, Leader
from vrrp_operator.report.event_budget import SeriesUpdate
from vrrp_operator.report.events import NAMESPACE
from vrrp_operator.write.comparison import says
from vrrp_operator.write.fences import FENCE, Fences
from vrrp_operator.write.older_kinds import undeclared_by_kind

_log = logging.getLogger(__name__)
FIELD_MANAGER = "kube-vrrp-operator"
_OURS = f"/apis/{API_VERSION}"
_PATHS = {kind: f"{_OURS}/{kind}" for kind in ("virtualips", "healthchecks", "nodeconfigs")}
_PATHS["nodes"] = "/api/v1/nodes"
_KINDS = {"virtualips": "VirtualIP", "healthchecks": "HealthCheck", "nodeconfigs": "NodeConfig"}
_EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
_CREATE = "application/json"
_MERGE, _REPLACE = "application/merge-patch+json", "application/json-patch+json"
_CONFLICT, _INVALID = 409, 422
_NEW = "0"
"""The version of what is not there: whatever is there by then is not written over (it is a 422)."""
_UNKNOWN = 500
"""From here on an answer does not say whether the write was done."""
_NEVER = (400, 404, 422)
"""Answers that another try would not change."""
_NOT_FOUND = 404


class NotLeadingError(Exception):
    """Another operator may lead: nothing was written."""


class Writer(ApiServer):
    """Lists objects, and applies what was decided in the term that it is in.

    Whatever writes raises NotLeadingError otherwise; for Events its caller asks.
    """

    def __init__(self, client: ApiClient, cache: ObjectCache, leader: Leader | None = None) -> None:
        super().__init__(client)
        self._cache = cache
        self._leader = leader or Alone()
        self._term = self._leader.term
        self._fences = Fences(uuid4().hex)
        self._undeclared = undeclared_by_kind()

    def list(self, kind: str) -> tuple[list[Mapping[str, Any]], int]:
        """Return every object of a kind, and the version of the list.

        Raises:
            ApiUnavailableError: not reached or refused.
        """
        answer = self._call("GET", _PATHS[kind])
        return answer["items"], int(answer["metadata"]["resourceVersion"])

    def apply_node_config(self, obj: Mapping[str, Any]) -> bool:
        """Make a NodeConfig's spec equal to the one given; return whether it was written.

        What a node is to run follows from what it ran and reported, so it is written over that
        version of its object and no other: a write that comes late changes nothing, nor does it
        make what was deleted or made meanwhile.

        Raises:
            ObjectChangedError: it is another one by now; nothing was written.
            ApiUnavailableError: not reached or refused.
        """
        name = obj["metadata"]["name"]
        if self.has_node_config(obj):
            return False
        current = self._cache.get("nodeconfigs", name)
        obj = self._undeclared["nodeconfigs"].known_part(obj, time.monotonic())
        path = f"{_PATHS['nodeconfigs']}/{name}"
        over = _identity(current) if current is not None else {"resourceVersion": _NEW}
        obj = {**obj, "metadata": {**obj["metadata"], **over}}
        try:
            with self._over("nodeconfigs", name):
                answer = self._apply("nodeconfigs", path, obj)
                if "metadata" in answer and not says(answer.get("spec"), obj["spec"]):
                    answer = self._replace_spec(path, answer, obj["spec"])
                self._remember("nodeconfigs", answer)
        except ApiUnavailableError as error:
            if not 0 < error.status < _UNKNOWN:
                self._fences.unanswered(name)
            raise
        self._fences.answered(name)
        _log.info("NodeConfig written", extra={"node": name})
        return True

    def has_node_config(self, obj: Mapping[str, Any]) -> bool:
        """Return whether a NodeConfig says already what it is to."""
        current = self._cache.get("nodeconfigs", obj["metadata"]["name"])
        wanted = self._undeclared["nodeconfigs"].known_part(obj, time.monotonic())
        return current is not None and says(current.get("spec"), wanted["spec"])

    def undeclared(self) -> frozenset[str]:
        """Return the fields that the API server's NodeConfigs lack, as far as is known."""
        return self._undeclared["nodeconfigs"].paths(time.monotonic())

    def begin_term(self, term: int) -> None:
        """Write in this term; nothing is fenced any more, as another operator may have written."""
        self._term = term
        self._fences = Fences(uuid4().hex)

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
            answer = self._write("PATCH", path, query=query, body=body, content_type=_MERGE)
            self._remember("nodeconfigs", answer)
        self._fences.answered(name)

    def delete_node_config(self, name: str) -> bool:
        """Delete the NodeConfig of a node that left the cluster, as it was looked at.

        Return whether there was one.

        Raises:
            ObjectChangedError: it is another one by now; nothing was deleted.
            ApiUnavailableError: not reached or refused.
        """
        current = self._cache.get("nodeconfigs", name)
        if current is None:
            return False
        seen = _identity(current)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": seen}
        with self._over("nodeconfigs", name):
            path = f"{_PATHS['nodeconfigs']}/{name}"
            self._write("DELETE", path, body=body, content_type=_CREATE)
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
        if self.has_status(kind, name, status, uid=uid):
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

    def has_status(self, kind: str, name: str, status: Mapping[str, Any], *, uid: str) -> bool:
        """Return whether an object has the status already that it is to have."""
        current = self._cache.get(kind, name)
        same = current is not None and current["metadata"].get("uid", "") == uid
        return same and current is not None and bool(current.get("status") == status)

    @contextmanager
    def _over(self, kind: str, name: str) -> Iterator[None]:
        """Write over what is known; where that is gone or another object by now, know that."""
        known = self._cache.get(kind, name)
        try:
            yield
        except ObjectGoneError:
            self._forget(kind, name)
            raise
        except ApiUnavailableError as error:
            if error.status not in (_CONFLICT, _INVALID):
                raise
            found = self._find_again(kind, name)
            if error.status == _INVALID and _version(found) == _version(known):
                raise  # for what it says
            if found is None:
                self._forget(kind, name)
                raise ObjectGoneError(str(error), _NOT_FOUND) from error
            self._remember(kind, found)
            raise ObjectChangedError(str(error), error.status) from error

    def _find_again(self, kind: str, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._call("GET", f"{_PATHS[kind]}/{name}")
        except ApiUnavailableError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return found

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
            return self._write("PATCH", path, query=query, body=known)

        return self._undeclared[kind].applied(obj, apply, time.monotonic)

    def _replace_spec(self, path: str, over: Mapping[str, Any], spec: Any) -> Any:
        """Replace what an apply left: it takes nothing away that somebody else wrote, too."""
        version = over["metadata"]["resourceVersion"]
        body = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec", "value": spec},
        ]
        query = [("fieldManager", FIELD_MANAGER)]
        return self._write("PATCH", path, query=query, body=body, content_type=_REPLACE)

    def _write(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        content_type: str = APPLY,
    ) -> Any:
        if self._leader.term != self._term or not self._leader.leads():
            raise NotLeadingError(f"{method} {path}")
        return self._call(method, path, query=query, body=body, content_type=content_type)


def _identity(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return by which a write names the object, and the version, that it replaces."""
    metadata = obj["metadata"]
    return {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}


def _version(obj: Mapping[str, Any] | None) -> str | None:
    return obj["metadata"].get("resourceVersion") if obj is not None else None
