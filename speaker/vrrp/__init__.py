"""VRRP as a pure library: packets, timers and the state machine; no I/O, no clock (RFC 9568).

Read in this order: ``constants``, ``packet``, ``timers``, ``events``, ``actions``,
``virtual_router``, ``validation``, ``priority``.
"""
