"""What a program will take of the memory, by the compiler's own account, and how much there is."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxtrade.errors import InputError

GIGABYTE = 1e9
SHARE = 0.9  # of the free memory that a suggestion may fill


def program_bytes(compiled: Any) -> int:
    """Return what a compiled program holds at most: arguments, results (donated ones once) and temporaries."""
    found = compiled.memory_analysis()
    if found is None:
        return 0
    together = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return together - found.alias_size_in_bytes


def free_bytes(device: jax.Device) -> int | None:
    """Return the memory that this process may still take on a device, None where the system does not say."""
    if device.platform == "cpu":
        return free_host_bytes(Path("/"))
    stats = device.memory_stats()
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats and "bytes_limit" in stats else None


def free_host_bytes(root: Path) -> int | None:
    """Return the host's available memory, or what is left to the control group of this process if that is less."""
    found = [*_meminfo(root / "proc" / "meminfo"), *_control_groups(root)]
    return max(0, min(found)) if found else None


def _meminfo(path: Path) -> list[int]:
    lines = _read(path).splitlines()
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


class GroupFiles(NamedTuple):
    """The names of a control group's memory files, which differ between version 1 and 2."""

    base: str
    limit: str
    usage: str
    cache: str  # the line in memory.stat of file cache that the kernel gives back when asked


V1 = GroupFiles("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = GroupFiles("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def _control_groups(root: Path) -> list[int]:
    """Return what each limit on the way from this process' control group to the top leaves."""
    left = []
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        files = V1 if controllers else V2
        group = Path(path.lstrip("/"))
        for each in {group, *group.parents}:  # inside a container the path may not exist; its top does
            left += _group_left(root / files.base / each, files)
    return left


def _group_left(folder: Path, files: GroupFiles) -> list[int]:
    limit, usage = _read(folder / files.limit).strip(), _read(folder / files.usage).strip()
    if not limit.isdigit() or not usage.isdigit():  # `max` is no limit
        return []
    stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines() if len(line.split()) == 2)
    return [int(limit) - int(usage) + int(stat.get(files.cache, 0))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def gigabytes(size: float) -> str:
    """Return a size for people."""
    return f"{size / GIGABYTE:.3g} GB" if size >= GIGABYTE / 10 else f"{size / 1e6:.3g} MB"


class Need(NamedTuple):
    """The memory that a run's programs take, and what is free for them."""

    num_envs: int
    needed: int
    free: int | None

    @property
    def fits(self) -> bool:
        """True where there is room, or no one knows."""
        return self.free is None or self.needed <= self.free

    @property
    def comfortable(self) -> bool:
        """True where some room is left, for what the estimate does not see."""
        return self.free is None or self.needed <= SHARE * self.free

    def __str__(self) -> str:
        """Return the estimate for people."""
        free = "" if self.free is None else f" of {gigabytes(self.free)} free"
        return f"memory: about {gigabytes(self.needed)}{free}"


def largest_count(need: Need, smaller: Need, lanes: int) -> int:
    """Return the most environments that leave some room free, a multiple of `lanes`; 0: not even one a lane.

    The need is a line through two counts: nothing in a program grows faster than its number of environments.
    """
    slope = max(1.0, (need.needed - smaller.needed) / (need.num_envs - smaller.num_envs))
    room = SHARE * (need.free or 0) - smaller.needed
    return max(0, int(smaller.num_envs + room / slope) // lanes * lanes)


def refuse(need: Need, smaller: Need | None, lanes: int) -> InputError:
    """Return the error of a run that does not fit, with a number of environments that does, if there is one."""
    what = f"needs about {gigabytes(need.needed)} of memory, {gigabytes(need.free or 0)} are free"
    count = largest_count(need, smaller, lanes) if smaller is not None else 0
    remedy = f"Use --num-envs {count}" if count else "Lower --ppo.rollout-length or --network.hidden"
    return InputError(f"--num-envs {need.num_envs}", what, remedy)
