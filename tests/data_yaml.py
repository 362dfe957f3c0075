"""The YAML of the group ``data`` as Hydra composes them, without Hydra."""

from pathlib import Path
from typing import Any

import yaml

CONF = Path(__file__).parents[1] / "conf" / "data"


def composed(name: str) -> dict[str, Any]:
    """``conf/data/<name>.yaml`` over the keys that all have."""
    own = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    base = yaml.safe_load((CONF / "_base.yaml").read_text("utf-8"))
    return {**base, **{key: value for key, value in own.items() if key != "defaults"}}
