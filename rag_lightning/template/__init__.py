"""A line of text with slots, around every example: what an expert tells the model in words."""
