"""A finished run in use: evaluating and predicting with its exported model."""
