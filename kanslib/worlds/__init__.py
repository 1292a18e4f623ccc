"""Who answers: one protocol, and the worlds that keep it."""
