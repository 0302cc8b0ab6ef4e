"""Logs: JSON lines with the data in fields, or text for people."""

from __future__ import annotations

import json
import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "taskName", "k8s_ref", "k8s_skip", "settings",
}  # fmt: skip


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "process": "operator",
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in vars(record).items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        fields = " ".join(f"{key}={value}" for key, value in extra.items())
        return f"{super().format(record)} {fields}".rstrip()


def configure_logging(level: str, log_format: str) -> None:
    """Send logs to stderr; ``level`` is a name in lower case, ``log_format`` json or text."""
    handler = logging.StreamHandler(sys.stderr)
    text = _TextFormatter("%(asctime)s %(levelname)-7s %(name)s %(message)s")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Of every request the whole answer, and of the event loop its beginning.
    logging.getLogger("kubernetes").setLevel(max(logging.INFO, logging.root.level))
    logging.getLogger("asyncio").setLevel(max(logging.INFO, logging.root.level))
    logging.getLogger("urllib3").setLevel(logging.ERROR)
