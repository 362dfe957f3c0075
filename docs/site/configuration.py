"""The pages of conf/: every command and every group, with all options and keys, their defaults and their meaning."""

import re
from pathlib import Path

import meanings
import yaml
from meanings import Meaning
from yaml_keys import Config, Key, read_config

from rag_lightning.config.paths import conf_dir

DOCS = Path(__file__).resolve().parents[1]
LONGEST = 60  # signs of a value that a table shows
SHARED = 0.6  # of the words of the shorter of two remarks, from which on one is enough
HYDRA_GROUPS = ("hydra/sweeper", "hydra/launcher")


def configuration_pages() -> dict[str, str]:
    """Page name -> Markdown."""
    conf = conf_dir()
    known = meanings.of_training()
    groups = [path.name for path in sorted(conf.iterdir()) if path.is_dir() and path.name != "hydra"]
    defaults = _defaults(conf / "train.yaml")
    pages, rows = {}, []
    for group in [*groups, *HYDRA_GROUPS]:
        configs = [read_config(path) for path in sorted((conf / group).glob("*.yaml"))]
        name = group.replace("/", "_")
        pages[f"reference/conf/{name}.md"] = _group_page(group, configs, defaults.get(group, ""), known)
        options = ", ".join(f"`{config.name}`" for config in configs if not config.name.startswith("_"))
        rows.append(f"| [`{group}=`]({name}.md) | {options} |")
    commands = [read_config(path) for path in sorted(conf.glob("*.yaml"))]
    index = [f"| [`{_module(each.name)}`]({each.name}.md) | {_linked(each.summary)} |" for each in commands]
    pages["reference/conf/index.md"] = _CONF + "\n".join(rows) + "\n"
    pages["reference/commands/index.md"] = _COMMANDS + "\n".join(index) + "\n"
    for config in commands:
        own = known if config.name == "train" else {**known, **meanings.of_command(config.name)}
        pages[f"reference/commands/{config.name}.md"] = _command_page(config, own)
    return pages


_CONF = """# Groups of settings

A group is a folder of `conf/`; `group=option` on the command line takes one of its files, and `group.key=value` changes
a key of it. `--cfg job` prints what comes of a command. Made from `conf/` and from the code that checks it.

| group | options |
|---|---|
"""
_COMMANDS = """# Commands

Each is `python -m` and its name; `--help` lists all groups and keys, `--cfg job` prints the whole configuration.

| command | |
|---|---|
"""


def _module(name: str) -> str:
    return f"rag_lightning.{name.removesuffix('_run')}"


def _defaults(path: Path) -> dict[str, str]:
    """group -> the option that a training takes if nothing is said."""
    found: dict[str, str] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["defaults"]:
        if isinstance(entry, dict):
            found |= {str(key).removeprefix("override "): str(value) for key, value in entry.items()}
    return found


def _command_page(config: Config, known: dict[str, Meaning]) -> str:
    parts = [f"# {_module(config.name)}\n", *_told(config)]
    groups = _groups_of(config.path)
    if groups:
        parts += ["## Groups\n", "Chosen if nothing is said:", ""]
        parts += [_group_line(key, option) for key, option in groups] + [""]
    if config.keys:
        parts += ["## Settings\n", _table(config.keys, "", known)]
    return "\n".join(parts)


def _groups_of(path: Path) -> list[tuple[str, str]]:
    entries = yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", [])
    pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
    return [(str(key), "none" if value is None else str(value)) for key, value in pairs if "override" not in str(key)]


def _group_line(key: str, option: str) -> str:
    group, _, place = key.partition("@")
    told = f" (as `{place}`)" if place else ""
    return f"- [`{group}={option}`](../conf/{group}.md){told}"


def _group_page(group: str, configs: list[Config], default: str, known: dict[str, Meaning]) -> str:
    options = [each for each in configs if not each.name.startswith("_")]
    shared = [each for each in configs if each.name.startswith("_")]
    parts = [f"# {group}=\n"]
    if default and "${" not in default:
        parts.append(f"`{group}={default}` is taken if nothing is said.\n")
    elif default:
        parts.append("Each task brings its own.\n")
    parts += ["| option | |", "|---|---|"]
    parts += [f"| [`{each.name}`](#{_anchor(each.name)}) | {_linked(each.summary)} |" for each in options]
    prefix = "" if group == "recipe" else f"{group.replace('/', '.')}."
    for each in shared:
        if each.keys:
            parts += ["", "## Every option has", "", *_told(each), _table(each.keys, prefix, known)]
    for each in options:
        parts += ["", f"## {each.name} {{ #{_anchor(each.name)} }}", "", *_told(each)]
        own = [key for key in each.keys if key.name != "name" or group == "model"]
        if group == "rules":
            own = [key for key in own if key.name.count(".") < 1]  # word lists and patterns are the file's own matter
        if own:
            scope = each.name if group == "task" else ""
            parts.append(_table(own, "" if each.is_global else prefix, known, scope))
    return "\n".join(parts) + "\n"


def _anchor(name: str) -> str:
    return "option-" + re.sub(r"\W+", "-", name)


def _told(config: Config) -> list[str]:
    text = [_linked(" ".join(config.told)), ""]
    return [*text, "```bash", *config.commands, "```", ""] if config.commands else text


def _linked(text: str) -> str:
    """Pages that are named become links; anything that Markdown might take for its own is left as it is written."""

    def link(found: re.Match[str]) -> str:
        return f"[{found[0]}](../../{found[0]})" if (DOCS.parent / found[0]).is_file() else found[0]

    return re.sub(r"docs/[\w/]+\.md", link, _plain(text))


def _plain(text: str) -> str:
    """Text in which Markdown and HTML find nothing of theirs, but for `code`."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        parts[place] = re.sub(r"([*_\[\]<>{}|])", lambda found: f"&#{ord(found[1])};", parts[place])
    return "`".join(parts)


def _table(keys: list[Key], prefix: str, known: dict[str, Meaning], scope: str = "") -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in keys:
        name = f"{prefix}{key.name}"
        meaning = known.get(f"{scope}:{name}") or known.get(name) or Meaning("", "")
        if not (key.value or key.remark or meaning.description):
            continue  # it only holds the keys below it
        rows.append(f"| `{name}` | {_value(key.value)} | {_meaning(key.remark, meaning)} |")
    return "\n".join(rows)


def _value(value: str) -> str:
    if value in ("", "???"):  # Hydra's sign for what has to be said
        return value and "needed"
    shown = value if len(value) <= LONGEST else f"{value[: LONGEST - 1].rstrip()}…"
    return f"`{_in_code(shown)}`"


def _meaning(remark: str, meaning: Meaning) -> str:
    """The remark of the yaml, the description of the code unless it says the same, and what is taken."""
    described = meaning.description.rstrip(".")
    told = [max((remark, described), key=len)] if _alike(remark, described) else [remark, described]
    lines = [_linked(each) for each in told if each]
    if meaning.takes and meaning.takes not in ("any", "keys below it"):
        lines.append(f'<span class="takes">{_plain(meaning.takes)}</span>')
    return "<br>".join(lines)


def _alike(one: str, other: str) -> bool:
    """Whether most words of the shorter text stand in the longer one."""
    short, long = sorted((set(re.findall(r"\w+", text.lower())) for text in (one, other)), key=len)
    return len(short & long) >= SHARED * len(short)


def _in_code(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")
