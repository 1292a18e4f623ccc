"""A simulated cluster: virtual time, a part of the API server, and the models that make the decisions."""
