"""The list of planted faults: it applies to the source as it is, and (nightly) a test notices each of them."""

from pathlib import Path

import pytest

from jaxtrade.rules import advance
from tests.helpers.planting import ROOT
from tests.mutate import TESTS, Witness, killers_of, main
from tests.mutations import MUTATIONS, Mutation, mutated


def test_the_list_is_long_and_its_names_differ() -> None:
    assert len(MUTATIONS) > 100
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    assert all(mutation.why for mutation in MUTATIONS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_can_be_planted(mutation: Mutation) -> None:
    text = mutated(mutation)
    assert text, f"not found exactly once in {mutation.file}: {mutation.old}"
    assert text != (ROOT / mutation.file).read_text("utf-8")
    compile(text, mutation.file, "exec")
    assert killers_of(mutation)


def test_the_tests_that_notice_exist() -> None:
    files = {test.split("::")[0] for tests in TESTS.values() for test in tests}
    assert [file for file in sorted(files) if not file.startswith("-") and not (ROOT / file).exists()] == []


def test_a_text_that_has_gone_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lost = MUTATIONS[0]._replace(old="this is written nowhere")
    monkeypatch.setattr("tests.mutate.MUTATIONS", [lost, *MUTATIONS[1:]])
    assert main(["--only", lost.name]) == 1
    assert lost.name in capsys.readouterr().out


def test_what_is_imported_from_elsewhere_is_told(tmp_path: Path) -> None:
    """Here the packages come from the repository; a witness of another house must complain."""
    for house, trouble in ((ROOT, ""), (tmp_path, "imported from elsewhere")):
        witness = Witness(house)
        witness.pytest_sessionfinish()
        assert (advance.__module__, witness.trouble) == ("jaxtrade.rules.advance", trouble)


@pytest.mark.nightly
def test_a_fault_that_changes_nothing_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    same = MUTATIONS[0]._replace(new=MUTATIONS[0].old + "  # the same", file="jaxtrade/rules/costs.py")
    monkeypatch.setattr("tests.mutate.MUTATIONS", [same])
    assert main([]) == 1
    assert "SURVIVES" in capsys.readouterr().out


@pytest.mark.nightly
def test_every_fault_is_noticed() -> None:
    assert main([]) == 0
