"""A file for each method: a pure function, the hooks that use it, its options."""
