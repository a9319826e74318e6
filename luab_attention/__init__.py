"""Where people looked: clicks, traces and boxes from any dataset, and the targets made from them."""
