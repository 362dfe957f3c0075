"""Scores of predictions, independent of models and data modules."""
