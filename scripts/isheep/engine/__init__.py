"""The engine: whatever writes or scores a text, and what keeps its answers."""
