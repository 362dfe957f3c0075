"""Lightning callbacks of this project; each is one file and knows nothing of the others."""
