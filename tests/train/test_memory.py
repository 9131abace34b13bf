"""The memory that is free by the system's files, and the number of environments that fits it."""

from pathlib import Path

import jax
import pytest

from train.memory import SHARE, Need, free_bytes, free_host_bytes, gigabytes, largest_count, refuse

GB = 10**9


def system(root: Path, group: str = "", **files: str) -> Path:
    """Write a system's files; `a__b` is the file a/b."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   8000000 kB\n")
    (root / "proc" / "self" / "cgroup").write_text(group)
    for name, text in files.items():
        path = root / "sys" / "fs" / "cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_limit_it_is_what_the_system_has(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/a\n", a__memory_dot_max="max\n", a__memory_dot_current="5\n")
    assert free_host_bytes(root) == 8_000_000 * 1024


def test_a_control_group_of_version_2(tmp_path: Path) -> None:
    """The limit of the group above counts as well; file cache can be taken back."""
    inner = {"a__b__memory_dot_max": f"{3 * GB}\n", "a__b__memory_dot_current": f"{GB}\n"}
    outer = {"a__memory_dot_max": f"{2 * GB}\n", "a__memory_dot_current": f"{GB}\n"}
    stat = f"anon 4\ninactive_file {GB // 4}\n"
    assert free_host_bytes(system(tmp_path / "1", "0::/a/b\n", **inner)) == 2 * GB
    assert free_host_bytes(system(tmp_path / "2", "0::/a/b\n", **inner, **outer)) == GB
    more = outer | {"a__memory_dot_stat": stat}
    assert free_host_bytes(system(tmp_path / "3", "0::/a/b\n", **inner, **more)) == GB + GB // 4


def test_a_control_group_of_version_1(tmp_path: Path) -> None:
    """Inside a container the group's path may not exist; the top of the tree is the container's own."""
    files = {"limit_in_bytes": f"{GB}\n", "usage_in_bytes": f"{GB // 2}\n", "stat": "total_inactive_file 7\n"}
    files = {f"memory__memory_dot_{name}": text for name, text in files.items()}
    root = system(tmp_path, "9:name=systemd:/\n4:cpu,memory:/outside/x\n0::/\n", **files)
    assert free_host_bytes(root) == GB // 2 + 7


def test_an_exhausted_group_has_nothing_left(tmp_path: Path) -> None:
    assert free_host_bytes(system(tmp_path, "0::/\n", memory_dot_max="5\n", memory_dot_current="9\n")) == 0


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    assert free_host_bytes(tmp_path) is None
    need = Need(16, GB, None)
    assert need.fits
    assert need.comfortable
    assert str(need) == "memory: about 1 GB"


def test_this_machine_has_some() -> None:
    assert free_bytes(jax.devices("cpu")[0]) > 10**8


class Accelerator:
    """A device that counts its own memory."""

    platform = "gpu"

    @staticmethod
    def memory_stats() -> dict[str, int]:
        return {"bytes_limit": 10 * GB, "bytes_in_use": 3 * GB}


def test_an_accelerator_counts_its_own() -> None:
    assert free_bytes(Accelerator()) == 7 * GB


@pytest.mark.parametrize("lanes", [1, 16, 48])
def test_the_suggestion_is_the_largest_count_that_fits(lanes: int) -> None:
    base, each, free = 5 * 10**7, 34_567, 10**9
    counts = (lanes * 4, lanes * 4000)
    smaller, need = (Need(count, base + each * count, free) for count in counts)
    found = largest_count(need, smaller, lanes)
    assert found % lanes == 0
    assert base + each * found <= SHARE * free < base + each * (found + lanes)


def test_the_refusal_names_figures_and_a_remedy() -> None:
    need, smaller = Need(4096, 4 * GB, GB), Need(1024, 10**9, GB)
    assert str(refuse(need, smaller, 16)) == (
        "--num-envs 4096: needs about 4 GB of memory, 1 GB are free. Use --num-envs 912"
    )
    for hopeless in (refuse(need, smaller._replace(needed=2 * GB), 1024), refuse(need, None, 16)):
        assert hopeless.remedy == "Lower --ppo.rollout-length or --network.hidden"


def test_sizes_for_people() -> None:
    assert [gigabytes(size) for size in (8_670_000, 146_000_000, 22_612_000_000)] == ["8.67 MB", "0.146 GB", "22.6 GB"]
