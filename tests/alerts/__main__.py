"""``python -m tests.alerts``: write the reference into ``docs/alerts.md``."""

from __future__ import annotations

from tests.alerts.page import PAGE, updated

PAGE.write_text(updated(PAGE.read_text()))
