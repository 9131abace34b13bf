"""The phases of a programme: the profiles, a user's own, and which iteration is in which."""

from pathlib import Path

import pytest
import yaml

from jaxtrade.errors import InputError
from tests.helpers.planting import ROOT
from train.programme.config import ProgrammeConfig
from train.programme.phases import PLAIN, Knobs, Phase, knobs_of, load_schedule, most_epochs

PROFILES = ("aggressive", "balanced", "conservative", "ultra_fast")
TWO = ({"name": "far", "until": 0.5, "learning_rate": 2}, {"name": "near", "until": 1, "epochs": 0.4})


def write(path: Path, *phases: dict[str, object], **more: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"phases": list(phases), **more}))
    return str(path)


def test_the_profiles_are_those_of_the_docs() -> None:
    files = sorted(file.stem for file in (ROOT / "configs" / "schedules").glob("*.yaml"))
    assert tuple(files) == PROFILES
    text = (ROOT / "docs" / "schedules.md").read_text("utf-8")
    for name in PROFILES:
        for phase in load_schedule(name):
            row = f"| `{name}` | {phase.name} | {phase.until:g} | {phase.learning_rate:g} | {phase.entropy_weight:g} |"
            assert f"{row} {phase.epochs:g} |" in text


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_goes_from_exploration_to_exploitation_within_a_sane_range(name: str) -> None:
    phases = load_schedule(name)
    assert [phase.name for phase in phases] == ["exploration", "refinement", "exploitation"]
    for column in ("learning_rate", "entropy_weight", "epochs"):
        factors = [getattr(phase, column) for phase in phases]
        assert factors == sorted(factors, reverse=True)
    steps = [phase.learning_rate * phase.epochs for phase in phases]  # how far one rollout moves the policy
    assert max(steps) <= 2.25 and min(steps) >= 0.2 and max(steps) <= 12 * min(steps)


def test_the_default_is_a_profile_and_ultra_fast_takes_few_epochs() -> None:
    config = ProgrammeConfig()
    assert config.schedule in PROFILES
    assert most_epochs(load_schedule("ultra_fast"), config.ppo.epochs) <= config.ppo.epochs / 2


def test_an_iteration_is_in_the_phase_of_its_middle() -> None:
    phases = load_schedule("balanced")
    names = [knobs_of(phases, i, 8, 4).phase for i in range(8)]
    assert names == ["exploration"] * 2 + ["refinement"] * 4 + ["exploitation"] * 2
    assert [knobs_of(phases, i, 3, 4).phase for i in range(3)] == ["exploration", "refinement", "exploitation"]
    assert knobs_of(phases, 0, 1, 4).phase == "refinement"


def test_a_middle_on_the_border_belongs_to_the_phase_before_it() -> None:
    phases = tuple(Phase(name=f"{end}", until=end) for end in (0.1, 0.3, 0.7, 1.0))
    assert [knobs_of(phases, i, 5, 4).phase for i in range(5)] == ["0.1", "0.3", "0.7", "0.7", "1.0"]


def test_the_factors_become_the_numbers_of_an_iteration() -> None:
    phases = load_schedule("balanced")
    assert knobs_of(phases, 0, 8, 4) == Knobs("exploration", 1.0, 2.0, 4)
    assert knobs_of(phases, 7, 8, 4) == Knobs("exploitation", 0.4, 0.5, 3)
    assert knobs_of(load_schedule("ultra_fast"), 7, 8, 1).epochs == 1  # never none
    assert knobs_of(phases, 7, 8, 5).epochs == 4  # 3.75, rounded
    assert knobs_of(PLAIN, 7, 8, 4) == Knobs(None, 1.0, 1.0, 4)


@pytest.mark.parametrize("base", [1, 3, 4, 10])
@pytest.mark.parametrize("name", PROFILES)
def test_no_iteration_has_more_epochs_than_the_program(name: str, base: int) -> None:
    phases = load_schedule(name)
    epochs = [knobs_of(phases, i, 40, base).epochs for i in range(40)]
    assert max(epochs) == most_epochs(phases, base)
    assert most_epochs(PLAIN, base) == base


def test_ones_own_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "configs" / "schedules" / "mine.yaml", *TWO)
    assert load_schedule("mine") == load_schedule(path) == (Phase(**TWO[0]), Phase(**TWO[1]))
    write(tmp_path / "configs" / "schedules" / "balanced.yaml", *TWO)  # one's own comes first, as with presets
    assert load_schedule("balanced") == load_schedule("mine")


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^schedule balansed: no such schedule or file. Did you mean 'balanced'\?$"):
        load_schedule("balansed")
    with pytest.raises(InputError, match="no such schedule"):
        load_schedule(str(tmp_path))


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "phases: there must be one phase at least. See docs/schedules.md"),
        ([{"name": "a", "until": 0.9}], "phases: until of the last phase must be 1: a ends at 0.9."),
        ([{"name": "a", "until": 1.5}], "phases.0.until: input should be less than or equal to 1, got 1.5."),
        ([{"name": "a", "until": 0.6}, {"name": "b", "until": 0.6}], "until must rise: a ends at 0.6, b at 0.6."),
        ([{"name": "a", "until": 0.6}, {"name": "a", "until": 1}], "phases: names must differ: a, a."),
        ([{"name": "a", "until": 1, "epochs": 0}], "phases.0.epochs: input should be greater than 0, got 0."),
        ([{"name": "a", "until": 1, "learning_rate": 50}], "less than or equal to 10, got 50."),
        ([{"name": "a", "until": 1, "learning_rate": True}], "must be a number, not true or false, got true."),
        ([{"name": "a", "until": 1, "entropy_weight": -1}], "greater than or equal to 0, got -1."),
        ([{"name": "a", "until": 1, "epoch": 2}], "unknown key 'epoch'. Did you mean 'epochs'?"),
        ([{"until": 1, "epochs": -1}], "phases.0.name: field required (1 of 2 errors)."),
    ],
)
def test_a_broken_schedule_is_refused_in_one_line(
    tmp_path: Path, phases: list[dict[str, object]], message: str
) -> None:
    path = write(tmp_path / "bad.yaml", *phases)
    with pytest.raises(InputError) as caught:
        load_schedule(path)
    assert str(caught.value).startswith(f"{path}: phases")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_section_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "more.yaml", *TWO, phase=1)
    with pytest.raises(InputError, match=r"phase: unknown key 'phase'. Did you mean 'phases'\?"):
        load_schedule(path)
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="does not hold a mapping"):
        load_schedule(str(tmp_path / "list.yaml"))


def test_a_phase_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_schedule("balanced")[0].epochs = 2.0  # type: ignore[misc]
