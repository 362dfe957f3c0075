"""Writing text with a causal or an encoder-decoder network."""
