"""Every YAML of the group holds exactly the documented keys, and names things that exist."""

from pathlib import Path

import pytest
from data_yaml import composed
from pydantic import ValidationError

from rag_lightning.data.options import SPLITS, DataConfig

CONF = Path(__file__).parents[2] / "conf" / "data"
NAMES = sorted(file.stem for file in CONF.glob("[!_]*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_yaml_is_valid_and_lists_every_key(name):
    values = composed(name)
    config = DataConfig(**values)
    assert config.name == name
    # a key that a YAML leaves out could not be overridden without a plus
    assert sorted(values) == sorted(DataConfig.model_fields)
    for group in ("files", "split", "limit"):
        assert list(values[group]) == list(type(getattr(config, group)).model_fields)


@pytest.mark.parametrize("name", NAMES)
def test_header_says_what_it_is_and_how_to_use_it(name):
    lines = (CONF / f"{name}.yaml").read_text("utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert any(line.startswith("#   python -m rag_lightning.train ") and f"data={name}" in line for line in lines[:6])


def test_every_key_is_described():
    for model in (
        DataConfig,
        *(type(getattr(DataConfig(name="x", format="conll"), g)) for g in ("files", "split", "limit")),
    ):
        assert all(field.description for field in model.model_fields.values()), model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fromat": "conll"}, "fromat"),
        ({"separator": "::"}, "separator is one character"),
        ({"encoding": "utf-9"}, "unknown encoding"),
        ({"split": {"validation": 0.6, "test": 0.5}}, "more than 0.9"),
        ({"limit": {"train": 0}}, "greater than or equal to 1"),
    ],
)
def test_bad_values_are_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        DataConfig(**({"name": "x", "format": "conll"} | change))


def test_conll2003_comes_from_files_where_a_path_is_given_and_else_from_the_hub():
    values = composed("conll2003")
    assert DataConfig(**values).source == "hub"
    assert DataConfig(**values).file_format == "parquet"
    config = DataConfig(**(values | {"path": "folder"}))
    assert (config.source, config.file_format) == ("files", "conll")


def test_one_file_name_is_a_list_of_one():
    config = DataConfig(name="x", format="conll", files={"train": "a.conll"})
    assert config.files.train == ["a.conll"]
    assert tuple(type(config.files).model_fields) == SPLITS
