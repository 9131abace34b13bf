"""Folders that a cache must not trust: others could put something into them."""

from pathlib import Path


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def open_to_the_group(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def a_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def a_file(folder: Path) -> None:
    folder.write_text("")


def in_a_folder_open_to_all(folder: Path) -> None:
    folder.parent.chmod(0o777)


UNSAFE = {
    open_to_all: "others may write to it",
    open_to_the_group: "others may write to it",
    a_link: "is a link, not a folder",
    a_file: "cannot be made",
    in_a_folder_open_to_all: "others may replace it",
}
