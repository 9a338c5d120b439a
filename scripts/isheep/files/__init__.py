"""Files: read with errors that a user can act on, written whole or not at all, and by one program at a time."""
