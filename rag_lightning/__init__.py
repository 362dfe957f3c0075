"""Rule-based and guided fine-tuning of language models with few labels."""

__version__ = "0.1.0"
