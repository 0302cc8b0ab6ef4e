"""What was decided, written: NodeConfigs, statuses and Events, each object by itself."""
