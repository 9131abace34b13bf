"""A copy of the packages in which faults may be planted, and the tools run over it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("jaxtrade", "train", "eval_bridge")
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def copy_house(folder: Path) -> Path:
    """Copy the packages and the tools' settings."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def plant(house: Path, file: str, text: str) -> None:
    """Append text to a file of the copy, or create it."""
    path = house / file
    path.parent.mkdir(exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(before + text, encoding="utf-8")


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in a folder, whose own packages come first; output is plain text."""
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "300"}
    environment.pop("FORCE_COLOR", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def run_tool(house: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `ruff`, `mypy` or `lint-imports` over the copy."""
    if tool == "lint-imports":
        return run_python(house, "-c", LINT_IMPORTS, *arguments)
    return run_python(house, "-m", tool, *arguments)
