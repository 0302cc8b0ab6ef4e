"""VRRP as a pure library: packets, timers and the state machine; no I/O, no clock (RFC 9568, 3768).

Read in this order: ``constants``, ``packet``, ``authentication``, ``timers``, ``events``,
``actions``, ``states``, ``virtual_router``, ``validation``, ``observations``.
"""
