"""``relun pool attach``: clones become SRs of the pool."""

from relun.cli.exits import Exit, worst
from relun.cli.parser import IDENTITY, PASSWORDS, argument
from relun.cli.pool.run import fail
from relun.cli.sizes import count
from relun.cli.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work
    from relun.core.options import Options
    from relun.pool.attach import AttachOptions
    from relun.pool.lun import Target
    from relun.pool.marks import Attached
    from relun.pool.parallel import Result

DESCRIPTION = (
    "Resign each clone and make it an SR of the pool: SR.probe on the master, SR.introduce, a PBD "
    "on every host, plug, scan; then check that every disk came up with the expected uuid, size "
    "and name. When a step fails, all of them are taken back; run again, it goes on where it "
    "stopped."
)
_OF_ONE_SR = ("--sr-uuid", "--map", "--name")
ARGUMENTS: "tuple[Argument, ...]" = (
    argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="a clone: iscsi://[user@]portal[:port]/iqn/lun; with --via-plugin also a SCSI id",
    ),
    argument(
        "--via-plugin",
        action="store_true",
        help="let relun's plugin on the pool's master look at the LUN and resign it: for Fibre "
        "Channel, and where the storage network cannot be reached from here",
    ),
    argument("--name", metavar="NAME", default="", help="name of the SR (else the one on the LUN)"),
    argument(
        "--read-only",
        action="store_true",
        help="mark the SR so that restore-vm connects its disks read-only",
    ),
    argument(
        "--host",
        metavar="HOST",
        action="append",
        default=[],
        help="plug it on this host alone, by name or uuid; may be given several times",
    ),
    argument(
        "--yes",
        action="store_true",
        help="nobody uses these LUNs: attach also an SR that nothing proves to be a copy",
    ),
    argument(
        "--parallel", metavar="N", type=int, default=8, help="so many clones at once (default 8)"
    ),
    argument(
        "--take-over",
        action="store_true",
        help="whoever seems to be at work on the LUN is known to be dead",
    ),
    *(entry for entry in IDENTITY if entry[0][0] not in ("--lvm-only", "--map-out")),
    PASSWORDS,
)
_FEW = 20


def prepare(arguments: "argparse.Namespace") -> None:
    """Check what fits no several targets."""
    if len(arguments.targets) > 1:
        for option in _OF_ONE_SR:
            if getattr(arguments, option.strip("-").replace("-", "_")):
                arguments.parser.error(option + " is for one clone")
    if not arguments.via_plugin:
        for target in arguments.targets:
            if "://" not in target:
                arguments.parser.error(target + ": a SCSI id needs --via-plugin")
    if arguments.parallel < 1:
        arguments.parser.error("--parallel: at least 1")


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Attach them all; an error of one does not stop the others."""
    from relun.pool.parallel import attach_all

    targets = [_target(arguments, word) for word in arguments.targets]
    work.listener.several(len(targets))
    results = attach_all(
        work.connection,
        targets,
        _options(arguments),
        work.listener,
        work.cancelled,
        arguments.parallel,
        lambda _result: work.listener.ended(),
    )
    work.listener.finish()
    codes = [_show(arguments, work, result, len(results) > 1) for result in results]
    if len(results) > 1 and not work.output.as_json:
        done = codes.count(Exit.DONE)
        work.output.show_lines([[("{} of {} attached".format(done, len(codes)), "bold")]])
    return worst(codes)


def _target(arguments: "argparse.Namespace", word: str) -> "Target":
    from relun.pool.lun import Target

    if "://" not in word:
        return Target(word, via_plugin=True)
    from relun.cli.addresses import login_of

    return Target(word, login_of(word), arguments.via_plugin)


def _options(arguments: "argparse.Namespace") -> "AttachOptions":
    from relun.pool.attach import AttachOptions

    return AttachOptions(
        _resign(arguments),
        arguments.name,
        arguments.read_only,
        tuple(arguments.host),
        not arguments.yes,
        arguments.take_over,
    )


def _resign(arguments: "argparse.Namespace") -> "Options":
    import time

    from relun.cli.asked import read_map
    from relun.core.options import Options

    return Options(
        sr_uuid=arguments.sr_uuid,
        id_map=read_map(arguments.map) if arguments.map else {},
        label=arguments.label,
        date=time.strftime("%Y-%m-%d"),
        drop_snapshots=arguments.drop_snapshots,
        drop_cbt=arguments.drop_cbt,
        force_journals=arguments.force_journals,
        force_mgt=arguments.force_mgt,
    )


def _show(arguments: "argparse.Namespace", work: "Work", result: "Result", several: bool) -> Exit:
    from relun.cli.pool.telling import exit_of

    if result.attached is None:
        assert result.error is not None
        fail(arguments, work.output, result.error, result.target.address)
        return exit_of(result.error)
    if work.output.as_json:
        work.output.show_object(attached_object(result.attached))
    else:
        work.output.show_lines(_lines(result.attached, work.output.verbose, several))
    return Exit.DONE


def attached_object(attached: "Attached") -> "dict[str, Any]":
    """Return an attached SR as JSON object."""
    from relun.cli.schema import SCHEMA

    return {
        "schema": SCHEMA,
        "verb": "pool attach",
        "exit": int(Exit.DONE),
        "target": attached.target,
        "already": attached.already,
        "old_sr": attached.old_sr_uuid,
        "new_sr": attached.sr_uuid,
        "name": attached.name,
        "scsi_id": attached.scsi_id,
        "hosts": list(attached.hosts),
        "vdis": [
            {"uuid": vdi.uuid, "old_uuid": vdi.old_uuid, "name": vdi.name, "size": vdi.size}
            for vdi in attached.vdis
        ],
        "seconds": round(attached.seconds, 3),
        "pool_seconds": round(attached.pool_seconds, 3),
        "calls": attached.calls,
        "round_trips": attached.round_trips,
    }


def _lines(attached: "Attached", verbose: int, several: bool) -> "list[Line]":
    said = "attached already" if attached.already else "attached"
    shown: list[Line] = [
        [(clean(attached.target), "bold"), (": " + said, "bold green")],
        _moved("SR ", attached.old_sr_uuid, attached.sr_uuid, attached.name),
    ]
    few = 0 if several else _FEW
    vdis = attached.vdis if verbose else attached.vdis[:few]
    shown += [_moved("VDI", vdi.old_uuid, vdi.uuid, vdi.name) for vdi in vdis]
    more = len(attached.vdis) - len(vdis)
    if more:
        shown.append([("  and {} ({})".format(count(more, "VDI"), "--verbose"), "dim")])
    shown.append([("  plugged on " + clean(", ".join(attached.hosts)), "")])
    own = attached.seconds - attached.pool_seconds
    spent = "  {:.2f} s: {:.2f} s in {} of the pool, {:.2f} s in relun; {} to the LUN".format(
        attached.seconds,
        attached.pool_seconds,
        count(attached.calls, "call"),
        own,
        count(attached.round_trips, "round trip"),
    )
    return [*shown, [(spent, "")]]


def _moved(what: str, old: str, new: str, name: str) -> "Line":
    before = "  {}  {} -> ".format(what, old or "(not known any more)")
    return [(before, ""), (new, "bold"), ("  " + clean(name), "")]
