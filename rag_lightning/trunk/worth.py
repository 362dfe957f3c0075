"""Whether keeping states pays: told from counts alone, so that the same run always decides alike."""

from collections.abc import Mapping

# Making costs a pass over the data, writing and reading a part of one; less than this is not worth the disk.
_LEAST_GAIN = 1.3


def pays(passes: Mapping[str, float], tokens: Mapping[str, int], *, is_shared: bool) -> bool:
    """Whether frozen layers would be run clearly more often than once on the data.

    Args:
        passes: how often a run reads each split.
        tokens: of each split.
        is_shared: other runs will read the same states, such as the trials of a sweep.
    """
    made = sum(tokens[split] for split in passes)
    computed = sum(often * tokens[split] for split, often in passes.items())
    return is_shared or computed >= _LEAST_GAIN * made
