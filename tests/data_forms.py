"""A tiny example of each form of data that tasks other than NER and classification read."""

import json
from typing import Any

from data_yaml import DIALOGUES, MANY_LABELS, PAIRS, QUESTIONS, RELATIONS, RUNNING_TEXT, TEXTS, WRITING

from rag_lightning.data.reading import Reading

PAIR = {"first": "Ada ran.", "second": "She moved."}
ADA, GHENT = {"start": 0, "end": 3, "text": "Ada"}, {"start": 13, "end": 18, "text": "Ghent"}
RELATION = {"text": "Ada lived in Ghent.", "first": ADA, "second": GHENT, "label": "In(e1,e2)"}
BLOCK = '1\t"<e1>Ada</e1> lived in <e2>Ghent</e2>."\nIn(e1,e2)\nComment:\n'
ANSWERED = {"question": "Where?", "context": "Ada lived in Ghent.", "answers": [{"text": "Ghent", "answer_start": 13}]}
SQUAD = json.dumps({"data": [{"title": "T", "paragraphs": [
    {"context": ANSWERED["context"], "qas": [{"id": "q", "question": "Where?", "answers": ANSWERED["answers"]}]},
]}]})  # fmt: skip
WRITTEN = {"text": "Good day. Come in.", "target": "Guten Tag."}
TURNS = [{"role": "user", "text": "Hello"}, {"role": "assistant", "text": "Hi!"}]


def _row(**fields: Any) -> str:
    return json.dumps(fields) + "\n"


def _both(train: str, test: str, content: str) -> dict[str, str]:
    return {train: content, test: content}


def _both_rows(name: str, content: str) -> dict[str, str]:
    return _both(f"train.{name}", f"test.{name}", content)


# Of each form of another task: what the task reads, its files, and the first record of train and test.
OF_TASKS: list[tuple[str, Reading, dict[str, str], dict[str, Any]]] = [
    ("mrpc", PAIRS, _both(
        "msr_paraphrase_train.txt", "msr_paraphrase_test.txt",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t5\t6\tAda ran.\tShe moved.\n",
    ), {**PAIR, "label": "equivalent"}),
    ("stsb", PAIRS, _both(
        "sts-train.csv", "sts-test.csv", "a\tb\tc\t1\t4.5\tAda ran.\tShe moved.\na\tb\tc\t2\t0\tx\ty\tmore\tmore\n",
    ), {**PAIR, "score": 4.5}),
    ("sick", PAIRS, _both(
        "SICK_train.txt", "SICK_test_annotated.txt",
        "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
        "1\tAda ran.\tShe moved.\t4.5\tENTAILMENT\n",
    ) | {"SICK_trial.txt": ""}, {**PAIR, "id": "1", "score": 4.5, "label": "entailment"}),
    ("rte", PAIRS, _both(
        "train.tsv", "dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tAda ran.\tShe moved.\tentailment\n",
    ), {**PAIR, "label": "entailment"}),
    ("semeval2010", RELATIONS, _both("TRAIN_FILE.TXT", "TEST_FILE_FULL.TXT", BLOCK), {**RELATION, "id": "1"}),
    ("squad", QUESTIONS, _both("train-v1.1.json", "dev-v1.1.json", SQUAD), {**ANSWERED, "title": "T"}),
    ("parallel", WRITING, {
        f"{split}.{side}": f"{text}\n" for split in ("train", "test")
        for side, text in (("en", WRITTEN["text"]), ("de", WRITTEN["target"]))
    }, WRITTEN),
    ("multi30k", WRITING, {
        f"{split}.{side}": f"{text}\n" for split in ("train", "val", "test_2016_flickr", "test_2017_flickr")
        for side, text in (("en", WRITTEN["text"]), ("de", WRITTEN["target"]))
    }, WRITTEN),
    ("tatoeba", WRITING, {"deu.txt": "Good day. Come in.\tGuten Tag.\tCC-BY 2.0\n"}, WRITTEN),
    ("scitldr", WRITING, _both_rows("jsonl", _row(
        source=["Good day.", "Come in."], target=["Guten Tag."], paper_id="p",
    )), {**WRITTEN, "target": ["Guten Tag."], "id": "p"}),
    ("samsum", WRITING, {f"{split}.json": json.dumps(
        [{"id": "7", "summary": "They met.", "dialogue": "A: Hi!\r\nB: Hello."}]
    ) for split in ("train", "val", "test")}, {"text": "A: Hi!\nB: Hello.", "target": "They met.", "id": "7"}),
    ("dialogsum", WRITING, {f"dialogsum.{split}.jsonl": _row(
        dialogue="#Person1#: Hi!", **({"summary1": "a", "summary2": "b", "summary3": "c"} if split == "test" else
                                      {"summary": "a"}),
    ) for split in ("train", "dev", "test")}, {"text": "#Person1#: Hi!"}),
    ("turns", DIALOGUES, _both_rows("txt", "Hello __eou__ Hi! __eou__\n"), {"turns": TURNS}),
    ("dailydialog", DIALOGUES, _both(
        "en_dev_human.txt", "en_test_human.txt", "Hello __eou__ Hi! __eou__\t1\t2 2\t0 0\n"), {"turns": TURNS}),
    ("dailydialog_plusplus", DIALOGUES, {
        name: _row(context=["Hello", "Hi!"], positive_responses=["How are you?"],
                   **({} if name == "data_positives.json" else {"random_negative_responses": ["Blue."]}))
        for name in ("data_positives.json", "dev.json", "test.json")
    }, {"turns": TURNS, "target": ["How are you?"]}),
    ("chnsenticorp", TEXTS, {
        "train.tsv": "label\ttext_a\n1\t很好\n", "dev.tsv": "qid\tlabel\ttext_a\n0\t1\t很好\n",
    }, {"text": "很好", "label": "positive"}),
    ("brown", RUNNING_TEXT, {"ca01": "\n\tGood/jj day/nn ./.\n"}, {"text": "Good day ."}),
    ("wikitext", RUNNING_TEXT, {f"wiki.{split}.tokens": " \n = Ada = \n \n Ada lived . \n"
                                          for split in ("train", "valid", "test")}, {"text": "= Ada ="}),
    ("texts", RUNNING_TEXT, _both_rows("txt", "Good day.\n\nCome in.\n"), {"text": "Good day."}),
    ("jsonl", PAIRS, _both_rows("jsonl", _row(**PAIR, score=1, label="x")), {**PAIR, "label": "x", "score": 1.0}),
    ("jsonl", RELATIONS, _both_rows("jsonl", _row(**RELATION)), RELATION),
    ("jsonl", QUESTIONS, _both_rows("jsonl", _row(**ANSWERED)), ANSWERED),
    ("jsonl", WRITING, _both_rows("jsonl", _row(**WRITTEN)), WRITTEN),
    ("jsonl", DIALOGUES, _both_rows("jsonl", _row(messages=["Hello", "Hi!"])), {"turns": TURNS}),
    ("jsonl", MANY_LABELS, _both_rows("jsonl", _row(text="a", labels=["x", "y"])), {"labels": ["x", "y"]}),
    ("csv", PAIRS, _both_rows("csv", "sentence1,sentence2,label\nAda ran.,She moved.,x\n"), {**PAIR, "label": "x"}),
    ("csv", WRITING, _both_rows("csv", "text,summary\nGood day. Come in.,Guten Tag.\n"), WRITTEN),
]  # fmt: skip
