"""What was run, as text: the rows at the head of every report."""

from typing import Any


def describe(manifest: Any, result: Any, split: str) -> dict[str, str]:
    """Return what was run, as text; a warning of the data stays with everything made from it."""
    same = result.table.data_hash == manifest.data.sha256
    warning = result.table.warning or manifest.data.warning
    return {
        "split": split,
        "symbols": ", ".join(result.table.symbols),
        "data": manifest.data.source if same else f"not the data of training ({manifest.data.source})",
        "data_sha256": result.table.data_hash,
        "network": manifest.network.kind,
        "action": manifest.env.action,
        "reward": " + ".join(
            name if weight == 1 else f"{weight:g} x {name}" for name, weight in manifest.env.reward.items()
        ),
        "costs": cost_text(manifest.env.costs),
        "fill": "the next open" if result.table.config.fill == "next_open" else "the close just observed",
        "policy": f"deterministic, update {manifest.update}, best of {manifest.validations} validations",
        **certificate_text(manifest),
        "leak check": leak_text(manifest),
        **repair_text(result.table.report),
        **({"warning": warning} if warning else {}),
    }


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


def trial_text(opened: dict[str, Any] | None) -> dict[str, str]:
    """Return what the trial ledger says, by row."""
    if opened is None:
        return {}
    times = f"; this range opened {opened['test_openings']} times" if opened["test_openings"] else ""
    return {"trial ledger": f"{opened['trials']} on this data{times}"}


def cost_text(costs: Any) -> str:
    """Return the costs that are not zero, as they are configured."""
    amounts = {name: value for name, value in costs.model_dump(mode="json").items() if name != "stamp_duty_side"}
    given = [f"{name} {value}" for name, value in amounts.items() if value != 0]
    if amounts["stamp_duty_percent"] != 0:
        given.append(f"stamp duty on {costs.stamp_duty_side}")
    return ", ".join(given) or "none"
