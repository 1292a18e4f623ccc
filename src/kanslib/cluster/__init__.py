"""Access to Docker, the Kubernetes API and the course's kind cluster; the only package with side effects outside."""
