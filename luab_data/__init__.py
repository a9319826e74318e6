"""Code that both datasets share: sources of bytes, the join, the resumable build, the card."""
