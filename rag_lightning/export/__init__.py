"""A finished run as a folder that others can use: for transformers, for onnxruntime, as a program of torch."""
