"""What was run, as text: the rows at the head of every report, and the facts that tell where a result comes from."""

import platform
from dataclasses import asdict
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jaxtrade
from eval_bridge.evaluation import AS_TRAINED, Options
from eval_bridge.inference.asof import time_text
from jaxtrade.market.sources import hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval_bridge.backtester import Backtest
    from eval_bridge.market import Opened
    from eval_bridge.relay import Leg
    from eval_bridge.spec import Manifest
    from jaxtrade.config import CostConfig
    from jaxtrade.market.table import MarketTable
    from jaxtrade.trials import Trials

LEDGER_ROW = "trial ledger"  # the one row that differs from run to run
LIBRARIES = ("numpy", "pandas", "scipy", "arch")
CONFIG = {"network", "env", "market", "feature_names", "seed", "update", "validations"}
ALONE = ("seed", "update", "validations")  # of those, what each policy has of its own


def describe(manifest: "Manifest", result: "Backtest", split: str, options: Options = AS_TRAINED) -> dict[str, str]:
    """Return what was run, as text; a warning of the data stays with everything made from it."""
    same = result.table.data_hash == manifest.data.sha256
    source, warning = hidden(manifest.data.source), data_warning(manifest, result.table)
    return {
        "split": split,
        "symbols": ", ".join(result.table.symbols),
        "data": source if same else f"not the data of training ({source})",
        "data_sha256": result.table.data_hash,
        "network": manifest.network.kind,
        "action": manifest.env.action,
        "reward": " + ".join(
            name if weight == 1 else f"{weight:g} x {name}" for name, weight in manifest.env.reward.items()
        ),
        "costs": cost_text(result.config.costs) + changed_text(manifest.env.costs, options),
        "delay": f"{options.delay} bars, training had none" if options.delay else "none",
        "lots": options.lots,
        "fill": "the next open" if result.table.config.fill == "next_open" else "the close just observed",
        "policy": f"deterministic, update {manifest.update}, best of {manifest.validations} validations",
        **certificate_text(manifest),
        "leak check": leak_text(manifest),
        **repair_text(result.table.report),
        **({"warning": warning} if warning else {}),
    }


def describe_all(
    manifests: "Sequence[Manifest]",
    result: "Backtest",
    split: str,
    options: Options = AS_TRAINED,
    legs: "Sequence[Leg]" = (),
) -> dict[str, str]:
    """Return what was run, of several seeds that act as one, or of the legs of a relay, too."""
    if legs:
        return describe(manifests[0], result, split, options) | relay_text(manifests, result.table, legs)
    rows = [describe(manifest, result, split, options) for manifest in manifests]
    if len(rows) > 1:
        each = "; ".join(f"seed {manifest.seed}, update {manifest.update}" for manifest in manifests)
        rows[0]["policy"] = f"ensemble of {len(rows)}, deterministic: {each}"
        for name in (name for name in rows[0] if name.startswith(("parity", "leak"))):
            rows[0][name] = "; ".join(dict.fromkeys(row.get(name, "none") for row in rows))
    return rows[0]


def relay_text(manifests: "Sequence[Manifest]", table: "MarketTable", legs: "Sequence[Leg]") -> dict[str, str]:
    """Return the rows that tell of all legs of a relay: the policies, and the worst of their certificates."""
    each = (
        f"from {time_text(table.time[leg.first])} seed {manifest.seed}, update {manifest.update}"
        for leg, manifest in zip(legs, manifests, strict=True)
    )
    uncertified = "; ".join(dict.fromkeys(manifest.uncertified for manifest in manifests if manifest.uncertified))
    together = SimpleNamespace(
        certificate=worst([manifest.certificate for manifest in manifests]),
        leaks=worst([manifest.leaks for manifest in manifests]),
        uncertified=uncertified,
    )
    text = f"relay of {len(legs)}, deterministic, each out of sample until the next takes over: {'; '.join(each)}"
    return {"policy": text, **certificate_text(together), "leak check": leak_text(together)}


def worst(records: "Sequence[Any]") -> Any:
    """Return one record for certificates or leak checks: counts added up, the largest of the errors; None lacks one."""
    if None in records:
        return None
    fields = {name: [getattr(record, name) for record in records] for name in type(records[0]).model_fields}
    return records[0].model_copy(update={name: _together(values) for name, values in fields.items()})


def _together(values: list[Any]) -> Any:
    """Return counts and findings added up, the largest of other numbers, and the first text."""
    if isinstance(values[0], tuple):
        return tuple(dict.fromkeys(finding for findings in values for finding in findings))
    if isinstance(values[0], int):
        return sum(values)
    return max(values) if isinstance(values[0], float) else values[0]


def data_warning(manifest: "Manifest", table: "MarketTable") -> str | None:
    """Return the flaw of the data, of these or of those of training."""
    return table.warning or manifest.data.warning


def warnings(manifest: "Manifest", table: "MarketTable") -> tuple[str, ...]:
    """Return what must stand above every figure."""
    uncertified = manifest.uncertified
    found = data_warning(manifest, table), f"NOT CERTIFIED: {uncertified}" if uncertified else None
    return tuple(text for text in found if text)


def warnings_of_all(manifests: "Sequence[Manifest]", table: "MarketTable") -> tuple[str, ...]:
    """Return what must stand above every figure, of several seeds that act as one too."""
    return tuple(dict.fromkeys(text for manifest in manifests for text in warnings(manifest, table)))


def certificate_text(manifest: Any) -> dict[str, str]:
    """Return the certificate as text, by row."""
    certificate, failed = manifest.certificate, f"NOT CERTIFIED: {manifest.uncertified}"
    if certificate is None:
        return {"parity": failed}
    differences = f"{certificate.discrete_explained} explained, {certificate.discrete_unexplained} unexplained"
    flips = f"{certificate.flips_explained} explained, {certificate.flips_unexplained} unexplained"
    passed = f"certified over {certificate.bars} validation bars and {certificate.fills} fills"
    return {
        "parity": failed if manifest.uncertified else passed,
        "parity (a) same actions, both engines": f"equity {certificate.engine_error:.2g} apart over the range, "
        f"{certificate.step_error:.2g} in one bar; discrete differences: {differences}",
        "parity (b) same inputs, both forward passes": f"{certificate.policy_error:.2g} apart; flips: {flips}",
        "parity (c) closed loop, not judged": f"final equity {certificate.closed_loop_error:.2g} apart",
    }


def leak_text(manifest: Any) -> str:
    """Return what the leak check found."""
    check = manifest.leaks
    if check is None:
        return "not made"
    found = (
        f"{len(check.findings)} LEAKS: {'; '.join(check.findings)}"
        if check.findings
        else "nothing changes with later bars"
    )
    return f"{found} ({check.cuts} of {check.bars} bars, three ways)"


def repair_text(report: dict[str, Any]) -> dict[str, str]:
    """Return what was mended in the data, and which defects were accepted, by row."""
    mended = ", ".join(f"{name}: {sum(by.values())}" for name, by in report.get("repairs", {}).items())
    accepted = ", ".join(report.get("accepted", ()))
    rows = {"repairs": mended, "defects accepted": accepted}
    return {name: text for name, text in rows.items() if text}


def trial_text(opened: "Opened | None", trials: "Trials") -> dict[str, str]:
    """Return what the trial ledger says, by row."""
    if opened is None:
        return {}
    times = f"; this range opened {opened.openings} times" if opened.openings else ""
    return {LEDGER_ROW: f"{trials.count} on this data{times}"}


def cost_text(costs: "CostConfig") -> str:
    """Return the costs that are not zero, as they are configured."""
    amounts = {name: value for name, value in costs.model_dump(mode="json").items() if name != "stamp_duty_side"}
    given = [f"{name} {value}" for name, value in amounts.items() if value != 0]
    if amounts["stamp_duty_percent"] != 0:
        given.append(f"stamp duty on {costs.stamp_duty_side}")
    return ", ".join(given) or "none"


def changed_text(trained: "CostConfig", options: Options) -> str:
    """Return which costs differ from those of training."""
    before = trained.model_dump(mode="json")
    return "".join(f"; {name} was {before[name]} in training" for name in options.costs)


def config_text(manifests: "Sequence[Manifest]", legs: "Sequence[Leg]" = ()) -> str:
    """Return what the bundle was trained with, as YAML; of a relay, what its legs have in common."""
    import yaml

    record = manifests[0].model_dump(mode="json", include=CONFIG)
    if legs:
        record = {name: value for name, value in record.items() if name not in ALONE}
        del record["market"]["split"]
    text: str = yaml.safe_dump(record, sort_keys=False, width=100)
    return text


def provenance(
    manifests: "Sequence[Manifest]", result: "Backtest", split: str, options: Options, opened: "Opened | None"
) -> dict[str, Any]:
    """Return the facts of this very run: what it was made from, by what, and what the trial ledger then held."""
    here = {"jaxtrade": jaxtrade.__version__, "python": platform.python_version()}
    here |= {name: metadata.version(name) for name in LIBRARIES}
    return {
        "data_sha256": result.table.data_hash,
        "split": split,
        "range": [str(result.time[0]), str(result.time[-1])],
        "options": asdict(options),
        "bundle_schema": manifests[0].schema_version,
        "seeds": [manifest.seed for manifest in manifests],
        "updates": [manifest.update for manifest in manifests],
        "versions": here,
        "versions_of_training": manifests[0].versions,
        **(opened.facts(result.table.data_hash) if opened is not None else {}),
    }


def legs_of(legs: "Sequence[Leg]", table: "MarketTable") -> dict[str, Any]:
    """Return the legs of a relay: file, its hash, and the bars of the first and the last decision."""
    times = [[str(table.time[bar]) for bar in (leg.first, leg.last - 1)] for leg in legs]
    rows = [
        {"bundle": leg.bundle, "sha256": leg.sha256, "first": first, "last": last}
        for leg, (first, last) in zip(legs, times, strict=True)
    ]
    return {"legs": rows} if legs else {}
