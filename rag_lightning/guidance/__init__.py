"""The ways from rules to the model: in the text, as features, as supervision, as label semantics, in decoding."""
