"""The compiler: a short-lived child of the agent that makes templates of what is sent over links.

It imports pyroute2 and scapy, which must not stay resident, and exits. It runs when a link appears
or changes; a change of configuration starts nothing.
"""
