"""The links of a node: what they are, which one is chosen, and what is sent over them."""
