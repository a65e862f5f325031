"""Tables of every setting, read from the schema and its docstrings, and from the YAML files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from omegaconf import MISSING, DictConfig, OmegaConf
from pdoc.doc_ast import walk_tree

from conf import schema
from docs.markdown import code, table

WORDS = "dataset.about."
"""Texts of a dataset for the model card, too long for a table of what trainings set."""
CONF = Path(schema.__file__).resolve().parents[1]
KINDS = {"image": "Images", "table": "Tables"}
"""What recipes are of: the first word of their names, and the title of their section."""
TRAINING = "training"
UNSET = "set by YAML"
SMALL = 1e-2
"""Below it a number is written as a power of ten."""


@dataclass(frozen=True)
class Setting:
    """One key, such as `fit.finetune.epochs`, as the schema declares it."""

    key: str
    type: str
    default: str
    meaning: str


def described(
    recipe: type, prefix: str = "", kind: str = "", given: Any = None
) -> Iterator[Setting]:
    """Every setting below the dataclass `recipe`, in the order of the schema.

    `dataset` and `model` are declared as `Any`, since a YAML file names their type: they are those
    of `kind`, `image` or `table`, and left out without one. `given` holds the defaults where what
    `recipe` is part of changes them.
    """
    hints, said, given = get_type_hints(recipe), _docstrings(recipe), given or recipe()
    for field in fields(recipe):
        name, hint, default = field.name, _bare(hints[field.name]), getattr(given, field.name)
        if hint is Any and not kind:
            continue
        if hint is Any:
            hint = getattr(schema, f"{kind.capitalize()}{name.capitalize()}")
        if is_dataclass(hint):
            assert isinstance(hint, type)
            inner = default if isinstance(default, hint) else None
            yield from described(hint, f"{prefix}{name}.", kind, inner)
        elif values := _values(hint):
            yield from described(values, f"{prefix}{name}.<name>.", kind)
        else:
            shown = UNSET if default == MISSING else code(_shown(default))
            yield Setting(
                prefix + name, _type(hints[name]), shown, _meaning(said.get(name, ""), hint)
            )


def settings() -> str:
    """Markdown: a section for each kind of data, a table for each part of its configuration."""
    lines = [_tables("What every run has", list(described(schema.Config)))]
    for kind, title in KINDS.items():
        training = schema.RECIPES[f"{kind}_{TRAINING}"]
        own = [s for s in described(training, "", kind) if not _common(s.key)]
        lines.append(f"## {title}\n\n{_tables('', own)}")
        jobs = {
            setting.key: setting
            for name, recipe in schema.RECIPES.items()
            if name.startswith(kind) and recipe is not training
            for setting in described(recipe, "", kind)
            if not _common(setting.key) and setting.key.split(".")[0] not in _parts(own)
        }
        lines.append(_tables(f"Jobs on {title.lower()}", list(jobs.values())))
    return "\n\n".join(line for line in lines if line)


def _tables(title: str, found: list[Setting]) -> str:
    """A table for each first word of the keys; single keys come first, in one table."""
    level = "##" if title and not title.startswith("Jobs") else "###"
    lines = [f"{level} {title}"] if title else []
    single = [s for s in found if "." not in s.key]
    rest = [s for s in found if "." in s.key]
    for part, rows in [("", single), *((p, _below(rest, p)) for p in _parts(rest))]:
        if rows:
            lines += [f"### `{part}`"] if part else []
            lines.append(
                table(
                    ["key", "type", "default", "meaning"],
                    [[code(s.key), code(s.type), s.default, s.meaning] for s in rows],
                )
            )
    return "\n\n".join(lines)


def _below(found: list[Setting], part: str) -> list[Setting]:
    return [setting for setting in found if setting.key.split(".")[0] == part]


def _parts(found: list[Setting]) -> list[str]:
    return list(dict.fromkeys(setting.key.split(".")[0] for setting in found))


def _common(key: str) -> bool:
    return key in ("seed", "version") or key.startswith("env.")


def _bare(hint: Any) -> Any:
    """`hint` without its `None`."""
    if get_origin(hint) is UnionType:
        [hint] = [part for part in get_args(hint) if part is not type(None)]
    return hint


def _values(hint: Any) -> type | None:
    """The dataclass that a mapping holds."""
    inner = get_args(hint)[1] if get_origin(hint) is dict else None
    return inner if isinstance(inner, type) and is_dataclass(inner) else None


def _type(hint: Any) -> str:
    bare = _bare(hint)
    if isinstance(bare, type) and issubclass(bare, Enum):
        text = ", ".join(each.name for each in bare)
    else:
        text = bare.__name__ if isinstance(bare, type) and not get_args(bare) else str(bare)
    return text if bare is hint else f"{text}, null"


def _meaning(text: str, hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        own, said = (hint.__doc__ or "").strip(), _docstrings(hint)
        text = text or own
        text += "".join(f" {code(name)}: {words}" for name, words in said.items())
    return " ".join(text.split())


@cache
def _docstrings(of: type) -> dict[str, str]:
    """What stands below each field, those of base classes included."""
    found: dict[str, str] = {}
    for each in reversed(of.__mro__):
        if each.__module__.startswith("conf."):
            found |= {k: v for k, v in walk_tree(each).var_docstrings.items() if v}
    return found


def _shown(value: Any) -> str:
    """`value` as YAML writes it."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float) and 0 < abs(value) < SMALL:
        return f"{value:.0e}".replace("e-0", "e-")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def environments() -> str:
    """Markdown: what each environment sets, key by key."""
    files = sorted((CONF / "env").glob("*.yaml"))
    values = {path.stem: dict(_leaves(OmegaConf.load(path))) for path in files}
    keys = dict.fromkeys(key for each in values.values() for key in each if key != "defaults")
    rows = [
        [code(f"env.{key}"), *(code(each[key]) if key in each else "" for each in values.values())]
        for key in keys
        if key != "name"
    ]
    return table(["key", *(code(name) for name in values)], rows)


def trainings() -> str:
    """Markdown: what the trainings set beside the schema's defaults, in production."""
    parts = []
    for kind, title in KINDS.items():
        names = [
            path.stem
            for path in sorted((CONF / "pipeline").glob("train_*.yaml"))
            if f"/recipe: {kind}_{TRAINING}\n" in path.read_text()
        ]
        if not names:
            continue
        declared = described(schema.RECIPES[f"{kind}_{TRAINING}"], "", kind)
        own = [s for s in declared if not _common(s.key) and not s.key.startswith(WORDS)]
        defaults = {s.key: s.default for s in own}
        values = {name: _composed(name) for name in names}
        rows = []
        for key, default in defaults.items():
            cells = [_chosen(values[name], key, default) for name in names]
            if any(cell not in ("", default) for cell in cells):
                rows.append([code(key), *cells])
        parts += [f"### {title}", table(["key", *(code(name) for name in names)], rows)]
    return "\n\n".join(parts)


def _composed(pipeline: str) -> DictConfig:
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite://")
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [f"+pipeline={pipeline}", "env=production"])


def _chosen(config: DictConfig, key: str, default: str) -> str:
    """The value of `key`; as it is written where that is its default, or depends on the machine."""
    *above, last = key.split(".")
    parent = OmegaConf.select(config, ".".join(above)) if above else config
    if parent is None or last not in parent or OmegaConf.is_missing(parent, last):
        return ""
    written: Any = OmegaConf.to_container(parent)
    raw = str(written[last])
    as_it_is = "native_precision" in raw or code(raw) == default
    return code(raw) if as_it_is else code(_shown(parent[last]))


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a YAML file as it is written, by its dotted key."""
    written: Any = OmegaConf.to_container(node)
    for key, value in written.items():
        if isinstance(value, dict):
            yield from _leaves(OmegaConf.create(value), f"{prefix}{key}.")
        else:
            yield prefix + key, _shown(value)
