"""A cluster in a box: nodes as network namespaces, a real control plane, faults, a prober.

Used by the demo, the tests and the benchmarks, and by anyone who wants to try a configuration.
Namespaces are held by processes of our own, so ending those ends everything.
"""
