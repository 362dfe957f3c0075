"""The one exception for a user's mistake: shown as a sentence without a traceback, exit code 2."""


class UserError(Exception):
    """Something that the user can put right.

    Args:
        reason: what is wrong and what was expected, one sentence.
        where: the place, such as ``train.conll:17`` or a config key.
        remedy: what to do about it.
    """

    exit_code = 2

    def __init__(self, reason: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.reason = reason.rstrip(".")
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.remedy}" if self.remedy else ""
        stop = "" if self.reason.endswith(("?", "!", ":")) else "."
        return f"{place}{self.reason}{stop}{advice}"


def nearest(word: str, choices: list[str], how_many: int = 1) -> list[str]:
    """The choices that look most like ``word`` (for "did you mean")."""
    import difflib

    return difflib.get_close_matches(word, choices, n=how_many, cutoff=0.5)
