"""What frozen layers say of the data is computed once, kept on disk, and looked up ever after."""
