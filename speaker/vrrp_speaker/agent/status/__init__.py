"""The NodeConfig's status: what it says, when it is worth a write, and its writing."""
