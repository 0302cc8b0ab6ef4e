"""Process 1 of the speaker: keeps the engine and the agent alive."""
