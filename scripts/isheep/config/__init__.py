"""The configuration, and all that follows from it before the first job."""
