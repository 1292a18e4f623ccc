"""What MetalLB and kube-proxy decide, worked out: pure functions, proved against recordings."""
