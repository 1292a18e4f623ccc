"""Kubernetes objects, and what kubectl and kube-proxy make of them. Pure.

apply.py      what `kubectl apply` would change
endpoints.py  EndpointSlices and label selectors
kubectl.py    the rows of `kubectl get`
kubeproxy.py  the iptables rules of kube-proxy
logs.py       lines of `kubectl logs`
manifest.py   YAML manifests and references such as `service/svc1`
objects.py    names and fields of objects, and their state at a moment
"""
