"""The pages of the Python reference: what others may call, from its docstrings."""

import ast
from pathlib import Path

START = """# Python

From a script or a notebook the command line is not needed:

```python
from rag_lightning.train import train

result = train(["task=ner", "optimizer.lr=1e-4"])
```

These modules are meant to be used by others. Arguments, shapes, errors and papers stand in their docstrings.

"""
# Page: modules in their order; `/*` stands for all modules of a package.
PAGES = {
    "training": ["train", "training.run", "config.compose", "errors"],
    "rules": ["rules.load", "rules.engine", "rules.ruleset", "rules.label_model", "rules.analysis"],
    "templates": ["template.parse", "template.render", "template.verbalizer"],
    "tasks": ["tasks.task", "tasks.evaluation", "tasks.spans", "tasks.tag_schemes"],
    "retention": ["retention.method", "retention.methods/*"],
    "probes": ["probe.probe", "probe/*"],
    "metrics": ["metrics/*"],
}


def python_pages(package: Path) -> dict[str, str]:
    """Page name -> Markdown, for all of :data:`PAGES` and their index."""
    pages, rows = {}, []
    for title, modules in PAGES.items():
        found = [module for each in modules for module in _modules(package, each)]
        body = [f"# {title.capitalize()}\n"]
        for module in dict.fromkeys(found):
            name = f"{package.name}.{module}"
            body.append(f"## `{module}`\n\n::: {name}\n    options: {{heading_level: 3}}\n")
            rows.append(f"| [`{name}`]({title}.md) | {_summary(package, module)} |")
        pages[f"reference/python/{title}.md"] = "\n".join(body)
    return {"reference/python/index.md": START + "| module | |\n|---|---|\n" + "\n".join(rows) + "\n", **pages}


def _modules(package: Path, pattern: str) -> list[str]:
    """The module, or those of the package ``pattern`` that define something public with a docstring."""
    if not pattern.endswith("/*"):
        return [pattern] if _file(package, pattern).is_file() else []
    folder = pattern.removesuffix("/*")
    names = sorted(path.stem for path in package.joinpath(*folder.split(".")).glob("[!_]*.py"))
    return [f"{folder}.{name}" for name in names if _tells_something(_file(package, f"{folder}.{name}"))]


def _tells_something(file: Path) -> bool:
    defined = (n for n in ast.parse(file.read_text("utf-8")).body if isinstance(n, ast.FunctionDef | ast.ClassDef))
    return any(ast.get_docstring(each) and not each.name.startswith("_") for each in defined)


def _summary(package: Path, module: str) -> str:
    told = ast.get_docstring(ast.parse(_file(package, module).read_text("utf-8"))) or ""
    return told.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _file(package: Path, module: str) -> Path:
    return package.joinpath(*module.split(".")).with_suffix(".py")
