"""Any image classifier evaluated: robustness, localization, and the report."""
