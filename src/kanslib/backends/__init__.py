"""Who answers a lab: the recorded, the live and the simulated backend, and how one stands in for another."""
