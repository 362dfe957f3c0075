"""What an expert writes down: labels in words, lexicons, patterns, conditions; applied once per example, linearly."""
