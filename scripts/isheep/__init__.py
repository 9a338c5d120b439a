"""The library behind the workflow's stage programs (the command lines in scripts/)."""
