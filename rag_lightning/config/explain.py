"""Hydra's complaints about overrides, told again with the nearest valid key or option."""

import re
import traceback
from typing import Any

from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError, nearest


def explain(exception: BaseException, config_name: str, arguments: list[str]) -> UserError | None:
    """A :class:`UserError` for an exception of Hydra's composition, None for anything else."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import MarkedYAMLError

    if isinstance(exception, MarkedYAMLError):
        return _no_yaml(exception)
    if not isinstance(exception, HydraException | OmegaConfBaseException):
        frames = traceback.extract_tb(exception.__traceback__)
        if not any(frame.filename.endswith("config_loader_impl.py") for frame in frames):
            return None  # Hydra's loader also lets through what Python raises over a value of a wrong type
        odd = next(
            (a for a in arguments if re.match(r"[+~]*[\w@/]*=(null|true|false|[\d.]*)$", a)), " ".join(arguments)
        )
        return unreadable(odd)
    text = str(exception)
    if isinstance(exception, OverrideParseException):
        return unreadable(str(exception.override))
    if "Key '" in text and "not in struct" in text or "Could not override" in text:
        return _unknown_key(text, config_name, arguments)
    if missing := re.search(r"Could not find '([^']+)'", text):
        return _unknown_option(missing.group(1))
    if absent := re.search(r"Could not override '([^']+)'\.? *No match in the defaults list", text, re.S):
        return _unknown_group(absent.group(1))
    if "MissingMandatoryValue" in type(exception).__name__ or "Missing mandatory value" in text:
        key = re.search(r"(?:full_key: |value: )(\S+)", text)
        name = key.group(1) if key else "a value"
        return UserError(f"{name} is needed", where="command line", remedy=f"Add {name}=… to the command.")
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()]
    return UserError(first, where="command line", remedy=" ".join(rest[:3]))


def _no_yaml(exception: Any) -> UserError:
    mark = exception.problem_mark or exception.context_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark else "configuration"
    remedy = "Mend this file; what holds brackets, commas or colons needs quotes, as in ['probe=[drift,language]']."
    return UserError(f"not YAML: {exception.problem}", where=where, remedy=remedy)


def unreadable(override: str) -> UserError:
    """The error for a word that is no setting."""
    return UserError(
        f"{override!r} cannot be read as a setting",
        where="command line",
        remedy="Write key=value, as in optimizer.lr=3e-5; a value with spaces, commas or brackets needs quotes inside "
        "the shell's, as in 'run.name=\"a, b\"'.",
    )


def options_of(group: str) -> list[str]:
    """What can be chosen for a group of the configuration."""
    return sorted(path.stem for path in (conf_dir() / group).glob("[!_]*.yaml"))


def _unknown_key(text: str, config_name: str, arguments: list[str]) -> UserError:
    found = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    full_key = found.group(1) if found else ""
    config = _composed(config_name, arguments)
    parts = full_key.split(".")
    for depth in range(len(parts)):  # the first part that is not there is the misspelt one
        valid = _keys_of(config, parts[:depth])
        if parts[depth] not in valid:
            error = unknown_key(".".join(parts[: depth + 1]), valid)
            if nearest(parts[depth], valid) or not (valid == [] or "_target_" in valid):
                return error
            own = _takes_a_mapping(config, parts[:depth])
            what = "A key of your own" if own else "What the class itself takes beyond that"
            more = f"{what} is added with +{full_key}=…."
            return UserError(error.reason, where=error.where, remedy=f"{error.remedy} {more}" if valid else more)
    return unknown_key(full_key, [])


def unknown_key(full_key: str, valid: list[str]) -> UserError:
    """The error for a key that does not exist, with the nearest one that does (or all of them)."""
    parent, _, key = full_key.rpartition(".")
    close = nearest(key, valid)
    prefix = f"{parent}." if parent else ""
    if close:
        remedy = f"Did you mean {prefix}{close[0]}?"
    elif valid:
        remedy = f"Valid keys here: {', '.join(valid)}."
    else:
        remedy = "See --cfg job for the keys there are."
    return UserError(f"unknown key {full_key!r}", where="configuration", remedy=remedy)


def _composed(config_name: str, arguments: list[str]) -> Any:
    """The configuration with the choices of groups and without the plain overrides; without either if they fail too."""
    from hydra import compose, initialize_config_dir

    groups = [a for a in arguments if re.fullmatch(r"[a-z_/]+=[\w./-]+", a) and _is_group(a.split("=")[0])]
    with initialize_config_dir(str(conf_dir())):
        try:
            return compose(config_name, overrides=groups)
        except Exception:  # the groups themselves are wrong, or no part of this command's configuration
            return compose(config_name)


def _keys_of(config: Any, path: list[str]) -> list[str]:
    from omegaconf import OmegaConf

    node = OmegaConf.select(config, ".".join(path)) if path else config
    return [str(key) for key in node] if OmegaConf.is_dict(node) else []


def _takes_a_mapping(config: Any, path: list[str]) -> bool:
    """Whether a null, nothing or a word stands there, where a mapping of the user's own names may."""
    from omegaconf import OmegaConf

    if not path or path[-1] not in _keys_of(config, path[:-1]):
        return False
    value = OmegaConf.select(config, ".".join(path))
    return value is None or isinstance(value, str) or value == {}


def _is_group(name: str) -> bool:
    return (conf_dir() / name).is_dir()


def _unknown_option(choice: str) -> UserError:
    group, _, option = choice.rpartition("/")
    if group == "hydra/launcher":
        from rag_lightning.sweep.launchers import no_launcher

        return no_launcher(option)
    options = options_of(group)
    close = nearest(option, options)
    remedy = f"Did you mean {group}={close[0]}? " if close else ""
    remedy += f"There are: {', '.join(options)}."
    if group == "model":
        remedy += " Any other: model=hub model.name=… or model=local model.path=…."
    if group == "data":
        remedy += " Your own: data=conll|jsonl|csv|parquet data.path=…."
    return UserError(f"no {group or 'option'} named {option!r}", where="command line", remedy=remedy)


def _unknown_group(name: str) -> UserError:
    groups = sorted(path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra")
    close = nearest(name, groups)
    remedy = f"Did you mean {close[0]}=…?" if close else f"Groups: {', '.join(groups)}."
    return UserError(f"no group or key named {name!r}", where="command line", remedy=remedy)
