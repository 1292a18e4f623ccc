"""What MetalLB decides: pure functions, compared with recordings and with its own code."""
