"""The agent: one NodeConfig in, an engine program out; health checks, metrics, status.

Threads do I/O and put messages into one inbox; one thread, ``agent.Agent.run``, decides. Any part
may stall or die without delaying one advertisement: the engine does not wait for it.
"""
