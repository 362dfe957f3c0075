"""Labelled examples from files, the Hub or the embedded samples, as plain records."""
