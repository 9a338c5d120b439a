"""Tables, figures, claims and the report's page, made from result records."""
