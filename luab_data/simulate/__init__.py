"""What the simulated releases of both datasets share: drawing, and how a cursor moves."""
