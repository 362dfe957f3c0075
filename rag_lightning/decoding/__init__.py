"""From scores to labels that make sense together: valid sequences, and never what a rule forbids."""
