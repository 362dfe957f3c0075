"""What a fine-tuned model has kept of what the pretrained one knew."""
