"""A label for two entities of a text, read off the states at the entities."""

from dataclasses import replace

import numpy as np

from rag_lightning.encoding.rows.entity_pairs import PLACES, encode
from rag_lightning.export.shapes.shape import Arrays
from rag_lightning.export.shapes.texts import LABEL as TEXT_LABEL


def _places(batch: Arrays) -> Arrays:
    return {"places": np.stack([batch[name] for name in PLACES], axis=1)}


LABEL = replace(TEXT_LABEL, encode=encode, inputs=_places)
