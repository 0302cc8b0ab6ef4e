"""``make demo`` from its first second on: what can be seen at once is shown at once.

The whole demo needs a control plane, which takes minutes to build once. Until it is there, the
demo that does without one is played.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from vrrp_lab.background import BackgroundBuild
from vrrp_lab.demo import new_console, run_demo
from vrrp_lab.namespaces import enter_user_namespace
from vrrp_lab.programs import control_plane_is_there

_NEWS_S = 30.0
"""How often a wait is mentioned where lines cannot be overwritten."""


def show_demo(*, standalone: bool, keep: bool) -> int:
    """Play the demo, before it the standalone one if the control plane is not built yet.

    Returns:
        The exit status, 0 when every step of what was played held.

    Raises:
        LabError: something this machine lacks, or the control plane cannot be built.
    """
    if standalone or control_plane_is_there():
        enter_user_namespace()
        return run_demo(standalone=standalone, keep=keep)
    console = new_console()
    console.print(
        "The control plane is built in the background, once (minutes; cached for tests and later "
        "demos).\nMeanwhile: the nodes without one."
    )
    with BackgroundBuild() as build:
        enter_user_namespace()  # after the build has begun: it needs the network out here
        status = run_demo(standalone=True, keep=False, meanwhile=build.progress)
        if console.is_terminal:
            with console.status("") as line:
                build.wait(line.update)
        else:
            build.wait(_now_and_then(lambda news: console.print(news, soft_wrap=True)))
    console.print("The control plane is built. Now the whole cluster.")
    return run_demo(standalone=False, keep=keep) or status


def _now_and_then(show: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that shows the first of many news, and then one in a while."""
    shown_s = -_NEWS_S

    def maybe_show(news: str) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= _NEWS_S:
            shown_s = time.monotonic()
            show(news)

    return maybe_show
