"""Where the lines are that enforce the rules, and the tests that hold them to it."""

from __future__ import annotations

_PROTOCOL, _ENGINE = "speaker/vrrp/", "speaker/vrrp_speaker/engine/"
MACHINE, RIVALS, MEMBERS, STATES, VALIDATION, AUTHENTICATION, PRIORITY = (
    f"{_PROTOCOL}{name}.py"
    for name in (
        "virtual_router", "rivals", "members", "states", "validation", "authentication", "priority",
    )
)  # fmt: skip
AGENT_MESSAGES, HEIR, LAST_WILL, LOADING, LOOP, MAIN = (
    f"{_ENGINE}{name}.py"
    for name in ("agent_messages", "heir", "last_will", "loading", "loop", "main")
)
LEASES, WATCH, WORKER = (
    f"{_ENGINE}addresses/{name}.py" for name in ("leases", "address_watch", "worker")
)
CONFLICT_JUDGE, DEFENCE, KIN, RESOLUTION = (
    f"{_ENGINE}neighbours/{name}.py" for name in ("conflict_judge", "defence", "kin", "resolution")
)
CHANGING, ENGINE_MEMBERS, EXECUTOR, HEARING, INPUTS, RESUMING, STARTING, TABLE = (
    f"{_ENGINE}routers/{name}.py"
    for name in (
        "changing", "members", "executor", "hearing", "inputs", "resuming", "starting",
        "router_table",
    )
)  # fmt: skip
CHANGES, NEWS_FILTER, NODE_NETWORK = (
    f"{_ENGINE}network/{name}.py" for name in ("changes", "news_filter", "node_network")
)
ROUTER_FAULTS = f"{_ENGINE}routers/faults.py"
KNOWN_PROGRAM, PROGRAM = (f"{_ENGINE}programs/{name}.py" for name in ("known_program", "reading"))
ENCODER, FRAME_SENDER, OTHER_CLOCKS = (
    f"{_ENGINE}wire/{name}.py" for name in ("encoder", "frame_sender", "clocks")
)
LISTENING = f"{_ENGINE}neighbours/listening.py"
CHOICE, LINK_TABLE, SUBNET_ROUTE = (
    f"speaker/vrrp_speaker/links/{name}.py" for name in ("choice", "table", "subnet_route")
)
ALARM, CHILD, PULSE, SILENCE, SUPERVISOR = (
    f"speaker/vrrp_speaker/{name}.py"
    for name in (
        "alarm", "supervisor/child", "pulse", "supervisor/silence", "supervisor/supervisor",
    )
)  # fmt: skip
REQUESTS = "speaker/vrrp_speaker/compiler/netlink.py"
TEMPLATES = "speaker/vrrp_speaker/compiler/templates.py"
NODE_CONFIG, PLACING = (
    f"speaker/vrrp_speaker/agent/{name}.py" for name in ("config/api_source", "programs/placing")
)
_OPERATOR = "operator/vrrp_operator/"
ALLOCATOR, ELECTING, ELECTIONS, ELIGIBLE, FITTING, PLACEMENT, PLANNER, RANKING, ROUTERS = (
    f"{_OPERATOR}plan/{name}.py"
    for name in (
        "allocator", "electing", "elections", "eligible", "fitting", "placement", "planner",
        "ranking", "routers",
    )
)  # fmt: skip
APPLY, ORDER, REFUSALS, STATUSES, WRITES = (
    f"{_OPERATOR}write/{name}.py" for name in ("apply", "order", "refusals", "statuses", "writes")
)
CONDITIONS, PROGRAMMED, STATUS = (
    f"{_OPERATOR}report/{name}.py" for name in ("conditions", "programmed", "status")
)
CACHE, HANDLERS, LIST_WATCH = (
    f"{_OPERATOR}api/{name}.py" for name in ("cache", "handlers", "list_watch")
)
LEADERSHIP = f"{_OPERATOR}lead/leadership.py"
HEALTH, RECONCILE = f"{_OPERATOR}health.py", f"{_OPERATOR}reconcile.py"


def netns(module: str, function: str) -> str:
    """Return the node id of a test in network namespaces."""
    return f"tests/netns/test_{module}.py::test_{function}"


def membership(module: str) -> str:
    """Return a file of the operator's room for membership."""
    return f"{_OPERATOR}membership/{module}.py"


def unit(module: str, function: str) -> str:
    """Return the node id of a unit test; ``module`` with its folder, as ``operator/planner``."""
    folder, _, name = module.partition("/")
    return f"tests/unit/{folder}/test_{name}.py::test_{function}"
