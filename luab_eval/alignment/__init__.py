"""How well a model's attention agrees with people's: their maps, the metrics, the baselines beside them."""
