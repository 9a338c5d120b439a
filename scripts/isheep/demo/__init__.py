"""The demo's small world: its texts and its true judgments."""
