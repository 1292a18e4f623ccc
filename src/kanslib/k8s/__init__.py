"""TODO k8s."""
