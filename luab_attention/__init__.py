"""Where people looked: clicks, traces and boxes, read from any dataset, and the targets made of them."""
