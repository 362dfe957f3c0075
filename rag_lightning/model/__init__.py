"""The backbone: its options, where its files are, what its parts are called, and how it is loaded."""
