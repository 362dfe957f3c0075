"""Methods that let a model adapt to a task and keep what it knew."""
