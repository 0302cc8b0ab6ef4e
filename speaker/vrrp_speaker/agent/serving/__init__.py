"""What others may ask of this node: metrics, its whole state, another log level."""
