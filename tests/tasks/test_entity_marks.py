"""Two entities made visible in a text: marks, tags, and where the words then stand."""

from typing import Any

import pytest

from rag_lightning.errors import UserError
from rag_lightning.tasks.entity_marks import ADDED, read_tagged, shown_words, tagged, with_marks

TYPES = {"PER": "person"}


def record(marked: str) -> dict[str, Any]:
    return read_tagged(marked)


@pytest.mark.parametrize(
    ("given", "marked"),
    [
        ("<e1>Ada</e1> lived in <e2>Ghent</e2>.", "@ Ada @ lived in # Ghent # ."),
        ("In <e2>Ghent</e2> lived <e1>Ada King</e1>", "In # Ghent # lived @ Ada King @"),
        ("(<e1>Ada</e1>'s)<e2>Ghent</e2>", "( @ Ada @ 's) # Ghent #"),
        ("<e1>the mayor of <e2>Ghent</e2></e1> spoke", "@ the mayor of # Ghent # @ spoke"),
        ("<e2><e1>Ghent</e1> University</e2>", "# @ Ghent @ University #"),
        ("<e1>艾达</e1>住在<e2>根特</e2>。", "@ 艾达 @ 住在 # 根特 # 。"),
        ("a @ # <e1>@</e1>  \n <e2>#</e2>", "a @ # @ @ @ # # #"),
    ],
)
def test_marks_stand_around_the_mentions(given: str, marked: str) -> None:
    made = with_marks(record(given), TYPES)
    assert made["marked"] == marked
    assert "typed" not in made
    shown = shown_words(made, "marked", TYPES)
    assert shown.words == marked.split()
    for (start, end), sign, side in zip(shown.spans, "@#", ("first", "second"), strict=True):
        assert shown.words[start] == shown.words[end - 1] == sign
        mention = made["text"][made[side]["start"] : made[side]["end"]]
        inside = [
            w for w, place in zip(shown.words[start:end], shown.of_text[start:end], strict=True) if place != ADDED
        ]
        assert "".join(inside) == "".join(mention.split())
        assert made[f"{side}_text"] == mention


def test_words_know_their_place_in_the_text() -> None:
    made = record("So (<e1>Ada King</e1>), of <e2>Ghent</e2>.")
    shown = shown_words(made, "marked", TYPES)
    words = made["text"].split()
    assert words == ["So", "(Ada", "King),", "of", "Ghent."]
    found = [(word, place) for word, place in zip(shown.words, shown.of_text, strict=True) if place != ADDED]
    assert found == [
        ("So", 0), ("(", 1), ("Ada", 1), ("King", 2), ("),", 2), ("of", 3), ("Ghent", 4), (".", 4),
    ]  # fmt: skip
    plain = shown_words(made, "text", TYPES)
    assert (plain.words, plain.of_text) == (words, [0, 1, 2, 3, 4])
    assert plain.spans == ((1, 3), (4, 5))


def test_types_are_said_in_words() -> None:
    made = with_marks(record("<e1:PER>Ada</e1> lived in <e2:GEO_PLACE>Ghent</e2>."), TYPES)
    assert made["typed"] == "@ * person * Ada @ lived in # ^ geo place ^ Ghent # ."
    assert made["marked"] == "@ Ada @ lived in # Ghent # ."
    half = with_marks(record("<e1:PER>Ada</e1> lived in <e2>Ghent</e2>."), TYPES)
    assert half["typed"] == "@ * person * Ada @ lived in # ^ entity ^ Ghent # ."


@pytest.mark.parametrize(
    "text",
    [
        "<e1>Ada</e1> lived in <e2>Ghent</e2>.",
        "In <e2:LOC>Ghent</e2> lived <e1:PER>Ada King</e1>",
        "<e1>the mayor of <e2>Ghent</e2></e1>",
        "<e2><e1>Ghent</e1> University</e2> a < b > c",
    ],
)
def test_tags_are_read_as_they_are_written(text: str) -> None:
    assert tagged(read_tagged(text)) == text


def test_space_within_the_tags_is_outside_of_the_mention() -> None:
    made = record("<e1> Ada </e1>in <e2>Ghent</e2>")
    assert made["text"] == " Ada in Ghent"
    assert made["first"] == {"start": 1, "end": 4, "text": "Ada"}


@pytest.mark.parametrize(
    "text",
    [
        "", "Ada in Ghent", "<e1>Ada</e1> in Ghent", "<e1>A</e1> <e1>B</e1> <e2>C</e2>", "</e1>A<e1> <e2>B</e2>",
        "<e1> </e1> <e2>B</e2>",
    ],
)  # fmt: skip
def test_a_text_that_does_not_mark_two_entities_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"input:3: .*Mark the two entities as in '<e1>Ada</e1>"):
        read_tagged(text, "input:3")
