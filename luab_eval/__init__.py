"""Any image classifier judged: robustness, localization, and the report."""
