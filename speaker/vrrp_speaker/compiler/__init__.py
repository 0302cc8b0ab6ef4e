"""The compiler: a short-lived child of the agent that turns a NodeConfig into ready bytes.

It imports pyroute2 and scapy, which must not stay resident, and exits.
"""
