"""The charts of report.html, as plotly's figures in plain dicts."""
