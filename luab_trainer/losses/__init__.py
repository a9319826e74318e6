"""The byproduct losses: each an `nn.Module` that returns one value a row, 0 for a row without a byproduct."""
