"""The edge: Docker, the Kubernetes API and the course's own kind cluster. Nothing else touches the world."""
