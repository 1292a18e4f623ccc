"""The twin: a cluster that is worked out. Time, an API server's part, and the models that decide."""
