"""Recommendation by text and by counting: ratings, splits, scores, weights, metrics."""
