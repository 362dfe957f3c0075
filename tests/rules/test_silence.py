"""Words that may be names no rule knows are neither names nor outside of names."""

from rag_lightning.rules.hits import Hit, hit_to_json
from rag_lightning.rules.silence import leave_open, small_words


def test_only_words_like_names_on_which_no_rule_speaks_are_left_open() -> None:
    tokens = ["The", "Monday", "paper", "Tribune", "met", "Ada", "Lovelace", "in", "東京"]
    hits = [
        hit_to_json(Hit(5, 6, "PER", "given")),
        hit_to_json(Hit(1, 2, "PER", "days", veto=True)),
        hit_to_json(Hit(3, 4, None, "mark")),
    ]
    tags = ["O", "O", "O", "O", "O", "B-PER", "O", "O", "O"]
    record = {"tokens": tokens, "tags": tags, "hits": hits}
    common = small_words([record, {"tokens": ["the", "days"]}])
    assert "the" in common and "Monday" not in common
    (opened,) = leave_open([record], common)
    assert opened["tags"] == ["O", "O", "O", None, "O", "B-PER", None, "O", "O"]
    assert record["tags"] == tags
