"""The course: stories as scripts, chapters, manifests, recordings, and the address plan."""
