"""Speed at equal mathematics: allocator, threads, bf16 layers, dropout, active embedding rows."""
