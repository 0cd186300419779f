"""Run the stage ``audit``: refuse splits that share photos."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.artifacts import digest
from aeret.progress import Progress
from aeret.settings import Settings

if TYPE_CHECKING:
    from aeret.data.audit_leaks import Leak

NAME = "audit"
SUMMARY = "Fail if photos, or near-duplicates of them, are both learnt from and searched."
INPUTS = ("prepare",)
SECTIONS = ("audit",)
FILE_SETTINGS = ("data.manifest",)
LEAKS = "leaks.csv"
_SHOWN = 20

log = logging.getLogger(__name__)


def sources(settings: Settings) -> dict[str, str]:
    """Return the digest of what the manifest says about photo identity and known leaks."""
    from aeret.data.manifest import load_manifest

    manifest = load_manifest(settings.data.manifest)
    return {"manifest": digest([manifest.identity, manifest.model_dump(mode="json")["known_leaks"]])}


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write every leak into ``leaks.csv`` and return the counts.

    Raises:
        LeakError: there is a leak that is not allowed. It names the first pairs; ``leaks.csv`` in the unfinished
            artifact's folder has all.
        DataError: the original file of a photo whose background was removed is missing.
    """
    from aeret.artifacts import write_text
    from aeret.data.audit import AuditedSplit, audit_splits
    from aeret.data.audit_leaks import leaks_csv
    from aeret.data.audit_originals import Originals
    from aeret.data.manifest import load_manifest
    from aeret.data.prepared import SPLITS, Prepared
    from aeret.errors import LeakError

    section = settings.audit
    manifest = load_manifest(settings.data.manifest)
    prepared = Prepared.open(inputs["prepare"])
    splits = {name: prepared.split(name) for name in SPLITS}
    looked_at: dict[str, AuditedSplit] = dict(splits)
    if settings.data.background != "keep":
        changed = ("query",) if settings.data.background_splits == "query" else SPLITS
        looked_at |= {name: Originals(splits[name], settings.data.workers) for name in changed}
    found = audit_splits(
        looked_at,
        leave_one_out=prepared.leave_one_out,
        ids_are_global=manifest.identity == "id or file name",
        allow=(*manifest.known_leaks, *section.allow),
        near_duplicates=section.near_duplicates != "off",
        progress=progress,
    )
    write_text(out / LEAKS, leaks_csv(found.leaks))
    warns = section.near_duplicates == "warn"
    refused = [leak for leak in found.leaks if not (leak.allowed or (warns and leak.near_only))]
    if splits["validation"].source != splits["train"].source:
        raise LeakError(
            f"{inputs['prepare']}: validation comes from source {splits['validation'].source!r}, train from "
            f"{splits['train'].source!r}; checkpoints must be chosen on a part of train. Prepare again."
        )
    if refused:
        raise LeakError(_message(refused, manifest.path, out / LEAKS))
    for leak in found.leaks:
        log.warning("%s: %s", "allowed" if leak.allowed else "warning", leak.line())
    for entry in found.unused:
        log.warning("audit: %s is allowed to leak, but does not (any more); take it off the list", entry)
    return {
        "photos": dict(found.photos),
        "leaks": len(found.leaks),
        "allowed": sum(leak.allowed for leak in found.leaks),
        "near_duplicates": sum(leak.near_only for leak in found.leaks),
        "pairs_looked_at": found.candidates,
        "plain_photos": found.plain,
        "files_gone": found.absent,
        "unused_allowances": list(found.unused),
        "chooses_on": "validation, a part of train" if len(splits["validation"]) else "the training loss",
    }


def _message(leaks: list[Leak], manifest: Path, listed: Path) -> str:
    from aeret.data.audit import MOST

    count = f"{len(leaks)} pairs or more" if len(leaks) >= MOST else f"{len(leaks)} pair(s)"
    lines = [f"{manifest}: {count} of photos leak between splits; numbers measured on them would flatter the run."]
    lines += [f"  {leak.line()}" for leak in leaks[:_SHOWN]]
    if len(leaks) > _SHOWN:
        lines.append(f"  and {len(leaks) - _SHOWN} more")
    one, other = leaks[0].files
    lines += [
        f"All of them, as a table: {listed.absolute()}",
        "Look at them. Then take one photo of each pair out of its annotation file or split, or accept the pairs you "
        f"know: audit.allow: [[{one}, {other}]] in the settings, or known_leaks in the manifest.",
    ]
    if any(leak.near_only for leak in leaks):
        lines.append("--set audit.near_duplicates=warn lists near-duplicates and goes on.")
    return "\n".join(lines)
