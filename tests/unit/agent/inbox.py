"""Taking what arrives in an agent's inbox."""

from __future__ import annotations

from queue import Empty, SimpleQueue

from tests.eventually import eventually

from vrrp_speaker.agent.messages import ConfigArrived, ConfigRefused, Message

Inbox = SimpleQueue[Message]


def take(inbox: Inbox) -> Message:
    """Return the next message, waited for."""

    def get() -> Message | None:
        try:
            return inbox.get_nowait()
        except Empty:
            return None

    found = eventually(get, within_s=10)
    assert found is not None
    return found


def arrived(inbox: Inbox) -> ConfigArrived:
    """Return the next message, which must be a configuration."""
    message = take(inbox)
    assert isinstance(message, ConfigArrived), message
    return message


def refused(inbox: Inbox) -> str:
    """Return why the next message refuses a configuration."""
    message = take(inbox)
    assert isinstance(message, ConfigRefused), message
    return message.error
