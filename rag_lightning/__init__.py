"""Rule-based and guided fine-tuning of language models with few labels."""

import os

__version__ = "0.1.0"

# Threads of torch's CPU kernels wait for each other by spinning, by default for ever: one other busy process on the
# machine then makes a step ten times slower. A short spin is as fast on an idle machine. Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
