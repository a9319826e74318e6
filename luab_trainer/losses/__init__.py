"""The byproduct losses: modules that return one value per row, 0 for a row without a byproduct."""
