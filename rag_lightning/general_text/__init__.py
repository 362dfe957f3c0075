"""Text of no task in particular, on which knowledge is kept and measured."""
