"""Run a benchmark and keep its tables, with the revision and the machine they were measured on.

    python -m docs.benchmarks --name serving -- tests/benchmarks/serving.py --rounds 3

Benchmarks print tables in Markdown and sentences. This writes both to
`docs/results/benchmarks/<name>.json`, which `python -m docs.tables` puts into the guide.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from docs.markdown import table

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "docs" / "results" / "benchmarks"


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark printed: tables as (head, rows), and the lines between them."""

    command: str
    revision: str
    machine: str
    date: str
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The tables, the sentences below them, and where they come from."""
        parts = [table(head, rows) for head, rows in self.tables]
        parts += ["\n".join(f"- {line}" for line in self.lines)] if self.lines else []
        made = f"Revision {self.revision}, {self.date}, {self.machine}: `{self.command}`"
        return "\n\n".join([*parts, made])


def load(name: str, folder: Path = BENCHMARKS) -> Benchmark:
    """The benchmark that was kept as `name`."""
    return Benchmark(**json.loads((folder / f"{name}.json").read_text()))


def write(benchmark: Benchmark, name: str, folder: Path = BENCHMARKS) -> Path:
    """Keep `benchmark` as `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(asdict(benchmark), indent=1, ensure_ascii=False) + "\n")
    return path


def parsed(text: str) -> tuple[list[tuple[list[str], list[list[str]]]], list[str]]:
    """The tables of `text`, and its other lines without the dash of a list."""
    tables: list[tuple[list[str], list[list[str]]]] = []
    lines: list[str] = []
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
            continue
        if rows:
            [head, _, *body] = rows
            tables.append((head, body))
            rows = []
        if line.strip():
            lines.append(line.strip().removeprefix("- "))
    return tables, lines


def machine() -> str:
    """Cores, processor and memory of this machine."""
    names = Path("/proc/cpuinfo")
    text = names.read_text() if names.exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", text)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    bf16 = ", bfloat16" if re.search(r"avx512_bf16|amx_bf16", text) else ""
    name = model[1].strip() if model else platform.machine()
    return f"{os.cpu_count()} cores of {name}{bf16}, {gib:.0f} GiB"


def revision() -> str:
    """The revision of the code, and whether it was changed since."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.check_output([*git, "rev-parse", "--short=7", "HEAD"], text=True).strip()
    changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True).strip()
    return f"{head}-dirty" if changed else head


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run a benchmark and keep its tables.")
    parser.add_argument("--name", required=True, help="of the file")
    parser.add_argument("command", nargs="+", help="after --: the script and its options")
    given = parser.parse_args()
    done = subprocess.run(
        [sys.executable, *given.command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"docs: the benchmark ended with status {done.returncode}; nothing was written")
    tables, lines = parsed(done.stdout)
    if not tables:
        sys.exit("docs: the benchmark printed no table; nothing was written")
    # A path of this machine tells nobody anything.
    words = (re.sub(r"(^|=)/\S*/(?=[^/\s]+$)", r"\1", word) for word in given.command)
    said = f"python {' '.join(words)}"
    today = datetime.now(UTC).date().isoformat()
    kept = Benchmark(said, revision(), machine(), today, tables, lines)
    print(f"docs: wrote {write(kept, given.name)}; next: python -m docs.tables")


if __name__ == "__main__":
    main()
