"""Write a monorepo of its own beside this one: all that is shared, none of the examples.

    make new-project NAME=mylab DESCRIPTION="Ultrasound of the thyroid"

There is no second copy of anything: it is the files that git tracks here, without the folders of
datasets, models, trainings and deployments, their configuration, the tests that name them, and
those of benchmarks and generators. Where this project is named, the new one is; where this one
describes itself, stands the description of the new one.
"""

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from conf import stages
from conf.errors import UserError
from templates.markdown import escaped

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "templates" / "project"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
STAND_INS = {"models": "mymodel", "datasets": "mydata"}
"""What texts and commands that are kept say in place of an example."""
TITLE = "Sonda"
TAGLINE = "from raw medical images to a model that answers HTTP"
"""What the command line says of this project (`conf/config.yaml`)."""
LONGEST = 200
"""Characters of a description: one line of a README."""
OURS = {"README.md", "CHANGELOG.md", "CITATION.cff", "dvc.lock"}
"""Files that say what this project is, and its state."""
OUR_DOCS = {("docs", "guides"), ("docs", "results"), ("docs", "pictures")}
"""Folders of what is said, measured and shown of the examples."""


def generate(name: str, description: str = "", parent: Path = ROOT.parent) -> Path:
    """Write the project `name` into `parent`, with a git repository of its own; its folder.

    `description` is one line of plain text, or "". Raises `UserError` on a bad name, one that is
    taken, a description that is no such line, and where git tracks nothing.
    """
    description = _checked(description)
    if not NAME.fullmatch(name):
        raise UserError(
            f"NAME={name}: small letters and digits, hyphens between words: "
            'make new-project NAME=mylab DESCRIPTION="Ultrasound of the thyroid"'
        )
    target = parent / name
    if target.exists():
        raise UserError(f"{target} exists and is not overwritten: choose another NAME")
    examples = {
        example: STAND_INS[layer]
        for layer in STAND_INS
        for example in sorted(
            path.parent.name for path in (ROOT / layer).glob(f"*/{layer.removesuffix('s')}.py")
        )
    }
    words = _words([*examples, TITLE])
    for path in _kept(examples):
        written = target / path
        written.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, written)
        try:
            text = written.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        text = words.sub(lambda word: examples.get(word[0], name), text)
        if description:
            text = _described(path, text, name, description)
        written.write_text(text, "utf-8")
    _render(name, description, parent)
    stages.write(target)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=target, check=True)
    return target


def _checked(description: str) -> str:
    """`description` without spaces around it, or `UserError`."""
    line = description.strip()
    odd = sorted({char for char in line if not char.isprintable() or char in "$\\"})
    if odd or len(line) > LONGEST:
        found = f"it holds {odd[0]!a}" if odd else f"it has {len(line)} characters"
        raise UserError(
            f"DESCRIPTION: one line of at most {LONGEST} characters, without $ and backslash "
            f'({found}), such as DESCRIPTION="Ultrasound of the thyroid"'
        )
    return line


def _described(path: Path, text: str, name: str, description: str) -> str:
    """`text` of the file `path`, with `description` where this project describes itself.

    That is the header of the command line, and the first paragraph of a page headed by the name.
    """
    if path.suffix == ".yaml":
        header = json.dumps(f"{name}: {description}", ensure_ascii=False)
        return text.replace(f'"{name}: {TAGLINE}"', header)
    if path.suffix == ".md":
        head, paragraph, rest = [*text.split("\n\n", 2), "", ""][:3]
        if head == f"# {name}" and paragraph:
            return "\n\n".join([head, escaped(description), rest])
    return text


def _kept(examples: dict[str, str]) -> list[Path]:
    """Tracked files that belong to no example, relative to the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True)
    tracked = [Path(name) for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    if not tracked:
        raise UserError(f"git tracks nothing in {ROOT}: take the project with git clone")
    tests = {path for path in tracked if path.parts[0] == "tests" and path.suffix == ".py"}
    examples_tests = _examples_tests(tests, set(examples))
    return [
        path
        for path in tracked
        if path not in examples_tests
        and not _of_example(path, set(examples))
        and str(path) not in OURS
        and path.parts[0] != "reports"
        and path.parts[:2] not in OUR_DOCS
    ]


def _of_example(path: Path, examples: set[str]) -> bool:
    """Whether `path` is code, configuration or a test of an example, or needs one."""
    layer, *rest = path.parts
    if layer == "conf" and len(rest) == 2 and path.suffix == ".yaml":
        name = Path(rest[1]).stem.partition("_")[0]  # of a variant, such as net_large.yaml, too
        return rest[0] in ("pipeline", "experiment") or name in examples
    if layer == "tests":
        return bool(examples & set(rest)) or rest[0] in ("benchmarks", "templates")
    first = rest[0].partition("-")[0] if rest else ""
    return layer in ("datasets", "models", "train", "deploy") and first in examples


def _examples_tests(tests: set[Path], examples: set[str]) -> set[Path]:
    """Tests that name an example in their code, and all that need one of those."""
    named = _words(examples)
    code = {path: _code(ROOT / path) for path in tests}
    found = {path for path in tests if named.search(code[path])}
    while True:
        modules = [".".join(path.with_suffix("").parts) for path in found]
        homes = {path.parent for path in found if path.name == "conftest.py"}
        more = {
            path
            for path in tests - found
            if homes & set(path.parents) or any(module in code[path] for module in modules)
        }
        if not more:
            return found
        found |= more


def _words(names: Iterable[str]) -> re.Pattern[str]:
    """Any of `names`, also between the underscores of a pipeline's name."""
    return re.compile(rf"(?<![A-Za-z0-9])({'|'.join(names)})(?![A-Za-z0-9])")


def _code(path: Path) -> str:
    """The Python of `path` without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for child in list(ast.iter_child_nodes(node)):
            value = child.value if isinstance(child, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                value.value = ""
    return ast.unparse(tree)


def _render(name: str, description: str, parent: Path) -> None:
    """Write what only the new project has: its README."""
    from cookiecutter.generate import generate_files

    context = {"cookiecutter": {"name": name, "description": escaped(description)}}
    generate_files(str(TEMPLATE), context, str(parent), overwrite_if_exists=True)


def main() -> None:
    """The command line; exits with status 1 and a message on `UserError`."""
    parser = argparse.ArgumentParser(description="Write a monorepo without the examples.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--description", default="", help="one line on what it is for")
    given = parser.parse_args()
    try:
        target = generate(given.name, given.description)
    except UserError as error:
        sys.exit(f"error: {error}")
    count = sum(path.is_file() and ".git" not in path.parts for path in target.rglob("*"))
    print(
        f"{count} files in {target}. Next:\n"
        f"  cd {target} && make new-pipeline MODEL=mynet DATASET=myimages\n"
        "  git add -A && git commit -m 'first pipeline'"
    )


if __name__ == "__main__":
    main()
