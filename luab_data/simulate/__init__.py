"""Code for the simulated releases of both datasets: drawing, and cursor movement."""
