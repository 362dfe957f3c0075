"""Numbers of things, in the words of the notes on data."""


def count(number: int, noun: str) -> str:
    """``1 example``, ``1,200 examples``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def limit_note(split: str, limit: int, there: int) -> str:
    """That a split has no more examples than ``data.limit`` allows."""
    verb = "is" if there == 1 else "are"
    return f"data.limit.{split}={limit:,} changes nothing: there {verb} {count(there, 'example')}."
