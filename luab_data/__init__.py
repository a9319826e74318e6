"""What both datasets need: sources of bytes, the join, the resumable build, the card."""
