"""How well the cosine of two sentences follows how alike they are in meaning (STS benchmark, Cer et al. 2017).

A sentence is the mean of its last hidden states, as of sentence encoders (Reimers & Gurevych 2019); the score is
Spearman's correlation with the judgements.
"""

import math

import torch.nn.functional as F
from pydantic import Field
from scipy.stats import spearmanr
from transformers import PreTrainedModel

from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.probe.examples import SplitName, content_of, examples
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import encode_texts, text_vectors

READING = Reading(fields=("first", "second", "score"), labels=("score",))


class SimilarityOptions(ProbeOptions):
    """Pairs of sentences with a score of how alike they are."""

    data: DataConfig = Field(description="where the pairs come from, as for task=matching")
    split: SplitName = Field(
        "auto",
        description="train, validation, test or all; auto: test where it has 300 pairs or more, or the run learns from "
        "these data, else all",
    )


def prepare(setting: Setting, options: SimilarityOptions) -> Prepared:
    """The pairs, each sentence encoded once."""
    chosen = examples(options.data, READING, options, options.split, setting.trained_on, where="probe.similarity.data")
    pairs = [(str(record["first"]), str(record["second"])) for record in chosen]
    gold = [float(record["score"]) for record in chosen]
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    place = {text: number for number, text in enumerate(texts)}
    inputs = encode_texts(setting.tokenizer, texts, setting.window)
    padding = int(setting.tokenizer.pad_token_id or 0)

    def measure(network: PreTrainedModel) -> Scores:
        vectors = F.normalize(text_vectors(network, inputs, padding), dim=-1)
        left, right = ([place[pair[side]] for pair in pairs] for side in (0, 1))
        cosines = (vectors[left] * vectors[right]).sum(-1)
        if float(cosines.std()) < 1e-7:  # a network that has collapsed tells nothing apart
            return {"spearman": math.nan}
        return {"spearman": float(spearmanr(cosines.numpy(), gold).statistic)}

    floors = {"spearman": 2 / math.sqrt(len(pairs))}  # two standard errors of no correlation
    return Prepared(measure, content_of(pairs, gold), floors=floors)


PROBE = Probe(name="similarity", options=SimilarityOptions, prepare=prepare, cheap=True)
