"""What both datasets need: sources of bytes, the join of images and byproducts, the resumable build, the
card.
"""
