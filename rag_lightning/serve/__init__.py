"""Finished runs behind HTTP, on Starlette and uvicorn, with a batcher of our own.

LitServe was tried on paper and left out: it batches by count and time alone, in worker processes that each load one
model, and has no limits on what waits; several runs, lengths, limits and a shutdown that finishes its work would all
have been built around it.
"""
