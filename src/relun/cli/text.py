"""Reports as text. Each line is a list of (text, style); plain output leaves the styles out."""

import sys

from relun.cli import tree
from relun.cli.sizes import count, size
from relun.cli.words import clean, finding_lines
from relun.core.image_tree import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.cli.output import Line
    from relun.cli.report import Report
    from relun.core.device import Device
    from relun.core.plan import Plan
    from relun.core.repository import Repository
    from relun.core.sysfs import BlockNode

_KINDS = {
    "lvm-sr": "SR on LVM",
    "file-sr": "SR in a filesystem",
    "lvm": "LVM, but no SR",
    "pv": "an LVM PV without a VG",
    "in-progress": "in progress",
    "damaged": "damaged",
    "empty": "empty",
    "foreign": "something else",
}
_STATES = {
    "original": "not resigned by relun: an original, or a clone as it was copied",
    "done": "resigned by relun; its journal is there, undo is possible until the SR is used",
    "in-progress": "IN PROGRESS: hidden from every host; relun recover finishes it",
}
_ACTIONS = {
    "resigned": "resigned",
    "recovered": "recovered: the interrupted resign is finished",
    "undone": "undone: the LUN is as it was before the resign, byte for byte",
    "cleared": "cleared: a journal that never came to use was taken away",
    "sealed": "sealed: nothing of the old identity is left, and there is no undo any more",
    "nothing": "nothing to do",
}
_NOTHING = {
    "undo": "nothing to undo: relun's journal is not on this LUN",
    "recover": "nothing to recover: this LUN is not in progress",
}
_FEW = 20


def lines(report: "Report", verbose: int = 0, several: bool = False) -> "list[Line]":
    """Return a report's text; empty when there is nothing but an error."""
    shown: list[Line] = []
    if report.repository is not None:
        shown = inspected(report, report.repository)
    elif report.outcome is not None:
        shown = _outcome(report, verbose, several)
    elif report.plan is not None:
        shown = _planned(report, report.plan, verbose)
    elif report.differences is not None:
        shown = _verified(report)
    if report.notes:
        shown += finding_lines(report.notes)
    return shown + _signal(report)


def inspected(report: "Report", repository: "Repository") -> "list[Line]":
    """Return what `inspect` shows."""
    shown = _heading(report, repository)
    volumes = tree.lines(repository, _unicode())
    if volumes:
        images = [volume for volume in repository.volumes if volume.name.is_image]
        hidden = sum(volume.hidden for volume in images)
        shown += [[], [(f"{count(len(images), 'image')}, {hidden} hidden", "bold")], *volumes]
    others = [volume for volume in repository.volumes if not volume.name.is_image]
    if others:
        shown += [[], [("other volumes", "bold")]]
        for volume in others:
            what = volume.name.journal + " journal" if volume.name.journal else volume.name.kind
            shown.append([(f"  {clean(volume.lv.name)}  {size(volume.lv.size)}  {what}", "")])
    if repository.findings:
        shown += [[], [("findings", "bold")], *finding_lines(repository.findings)]
    return shown


def confirmation(report: "Report", repository: "Repository") -> "list[Line]":
    """Return what is shown before a block device is changed."""
    return [*_heading(report, repository), *tree.lines(repository, _unicode()), []]


def _heading(report: "Report", repository: "Repository") -> "list[Line]":
    shown: list[Line] = []
    for device, node in zip(report.devices, report.nodes()):
        shown.append(
            [("LUN    ", "dim"), (clean(device.path), "bold"), (_device(device, node), "")]
        )
    mgt = repository.mgt.content if repository.mgt else None
    if repository.sr_uuid:
        name = f' "{clean(mgt.sr_name)}"' if mgt and mgt.sr_name else ""
        shown.append([("SR     ", "dim"), (repository.sr_uuid, "bold"), (name, "bold")])
    kind = _KINDS[repository.kind]
    facts = [f"{kind} ({repository.filesystem})" if repository.filesystem else kind]
    if repository.vg is not None:
        facts.append(f"VG {clean(repository.vg.name)}, seqno {repository.vg.seqno}")
        facts.append(count(len(repository.vg.pvs), "PV"))
    if mgt and mgt.allocation:
        facts.append(clean(mgt.allocation))
    shown.append([("kind   ", "dim"), (", ".join(facts), "")])
    hidden = repository.state == "in-progress"
    if hidden or repository.vg is not None:  # else there is nothing to be original or resigned
        state = (_STATES[repository.state], "bold red" if hidden else "")
        shown.append([("state  ", "dim"), state])
    return shown


def _device(device: "Device", node: "BlockNode | None") -> str:
    facts = [size(device.size)]
    if node is None:
        facts.append("image file")
    else:
        facts.append(f"{device.block_size}-byte blocks")
        facts.append(f"serial {clean(node.serial) or 'unknown'}")
        facts += [f"SCSI id {clean(node.scsi_id)}"] if node.scsi_id else []
    return "  " + ", ".join(facts)


def _planned(report: "Report", plan: "Plan", verbose: int) -> "list[Line]":
    shown: list[Line] = [[(f"plan for {clean(report.name)}", "bold")], *_ids(plan, verbose), []]
    kinds: dict[str, tuple[int, int]] = {}
    for edit in plan.edits:
        what = edit.what.partition(": ")[2] or edit.what
        number, total = kinds.get(what, (0, 0))
        kinds[what] = number + 1, total + len(edit.new)
    column = max(map(len, kinds))
    shown.append([(f"  {'what'.ljust(column)}  {'edits':>6}  {'bytes':>9}", "dim")])
    for what, (number, total) in sorted(kinds.items()):
        shown.append([(f"  {what.ljust(column)}  {number:>6}  {total:>9}", "")])
    total = sum(len(edit.new) for edit in plan.edits)
    shown.append([(f"  {'in all'.ljust(column)}  {len(plan.edits):>6}  {total:>9}", "bold")])
    region = plan.space.region
    device = report.devices[plan.change.switch].path
    shown.append(
        [(f"  journal: {region.size} bytes at byte {region.offset} of {clean(device)}", "")]
    )
    if verbose:
        shown += [[], *_edits(report, plan, verbose)]
    if plan.findings:
        shown += [[], [("findings", "bold")], *finding_lines(plan.findings, verbose > 0)]
    return [*shown, [], [("Nothing was written.", "bold")]]


def _edits(report: "Report", plan: "Plan", verbose: int) -> "list[Line]":
    shown: list[Line] = []
    several = len(report.devices) > 1
    for edit in plan.edits:
        device = f"  {clean(report.paths[edit.device])}" if several else ""
        shown.append([(f"{edit.offset:>15}  {len(edit.new):>6}  {clean(edit.what)}{device}", "")])
        if verbose > 1:
            shown.append([(f"      old {edit.old.hex()}", "dim")])
            shown.append([(f"      new {edit.new.hex()}", "dim")])
    return shown


def _ids(plan: "Plan", verbose: int) -> "list[Line]":
    known = records(plan.repository)
    ids = plan.new_ids
    shown: list[Line] = [
        [(f"  SR   {old} -> ", ""), (new, "bold")] for old, new in ids["sr"].items()
    ]
    vdis = list(ids["vdi"].items())
    for old, new in vdis if verbose else vdis[:_FEW]:
        name = f"  {clean(known[old].name)}" if old in known else ""
        shown.append([(f"  VDI  {old} -> ", ""), (new, "bold"), (name, "")])
    if not verbose and len(vdis) > _FEW:
        shown.append([(f"  and {len(vdis) - _FEW} VDIs more (--verbose, --map-out)", "dim")])
    rest = {"image": "image uuid", "lvm": "LVM uuid"}
    more = [count(len(ids[kind]), noun) for kind, noun in rest.items() if ids[kind]]
    shown.append([(f"  and {', '.join(more)}", "dim")])
    if plan.dropped:
        shown.append([(f"  dropped: {', '.join(map(clean, plan.dropped))}", "yellow")])
    return shown


def _outcome(report: "Report", verbose: int, several: bool) -> "list[Line]":
    outcome = report.outcome
    assert outcome is not None
    said = _ACTIONS[outcome.action]
    if outcome.action == "nothing":
        said = _NOTHING.get(report.verb, said)
    shown: list[Line] = [[(clean(report.name), "bold"), (f": {said}", "bold green")]]
    if report.plan is not None:
        shown += _ids(report.plan, verbose)
    elif outcome.old_sr:
        shown.append([(f"  SR   {outcome.old_sr} -> {outcome.new_sr}", "")])
    elif outcome.new_sr:
        shown.append([(f"  SR   {outcome.new_sr}", "")])
    if outcome.action != "nothing":
        traffic = [device.traffic for device in report.devices]
        written = sum(each.bytes_written for each in traffic)
        writes = count(sum(each.writes for each in traffic), "write")
        flushes = count(sum(each.flushes for each in traffic), "flush").replace("flushs", "flushes")
        shown.append([(f"  {written} bytes in {writes}, {flushes}", "")])
    if report.plan is not None:
        grave = [finding for finding in report.plan.findings if finding.severity != "note"]
        shown += finding_lines(grave, verbose > 0)
        if not several:
            from relun.cli.next_steps import next_steps

            shown += [[], [("next, on a host of the pool:", "bold")]]
            shown += [[(f"  {step}", "")] for step in next_steps(report)]
    return shown


def _verified(report: "Report") -> "list[Line]":
    assert report.differences is not None
    if not report.differences:
        return [[(clean(report.name), "bold"), (": clean", "bold green")]]
    found = count(len(report.differences), "difference")
    return [
        [(clean(report.name), "bold"), (f": {found}", "bold red")],
        *finding_lines(report.differences),
    ]


def _signal(report: "Report") -> "list[Line]":
    if not report.signal or report.error is not None:
        return []
    said = f"  {report.signal} came while the LUN was being changed; this was finished first"
    return [[(said, "yellow")]]


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
