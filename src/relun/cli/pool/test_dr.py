"""``relun pool test-dr``: carries out a plan; the report as text, JSON and an HTML page."""

import os

from relun.cli.exits import Exit
from relun.cli.parser import PASSWORDS, argument
from relun.cli.pool.dr_words import seconds, verdict, vm_verdict
from relun.cli.pool.telling import described
from relun.cli.schema import SCHEMA
from relun.cli.sizes import count
from relun.cli.words import clean, error_title, finding_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work
    from relun.core.errors import RelunError
    from relun.pool.dr_plan import Plan
    from relun.pool.dr_report import CloneReport, DrReport, VmReport
    from relun.remote.login import Login

DESCRIPTION = (
    "Attach clones, restore VMs, start them in order, wait until they are up, and take all of it "
    "away again, as a plan says; with one report. Exit code 4: something did not come up. 3: "
    "something is left behind."
)
ARGUMENTS: "tuple[Argument, ...]" = (
    argument(
        "plan",
        metavar="PLAN.toml",
        help="what to attach, restore, start and wait for (docs/recipes.md); --pool and --user "
        "count before what it says",
    ),
    argument("--html", metavar="FILE", default="", help="write the report as an HTML page too"),
    argument(
        "--take-over",
        action="store_true",
        help="another test of the same clones seems under way, but is known to be broken off",
    ),
    PASSWORDS,
)


def prepare(arguments: "argparse.Namespace") -> None:
    """Read the plan: it may say which pool. Raise PoolRefused (pool-plan)."""
    from relun.cli.addresses import prepare as read_passwords
    from relun.pool.dr_plan import read_plan

    read_passwords(arguments)
    arguments.plan = read_plan(arguments.plan)
    arguments.pool = arguments.pool or arguments.plan.pool
    arguments.user = arguments.user or arguments.plan.user
    if arguments.html and not _writable(arguments.html):
        arguments.parser.error("--html {}: cannot be written".format(arguments.html))


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Run the verb."""
    from relun.pool.dr_run import test_dr

    plan = arguments.plan
    report = test_dr(
        work.connection, plan, _logins(plan), arguments.take_over, work.listener, work.cancelled
    )
    if work.output.as_json:
        work.output.show_object(report_object(report))
    else:
        work.output.show_lines(report_lines(report))
    if arguments.html:
        from relun.cli.pool.dr_html import page

        try:
            with open(arguments.html, "w", encoding="utf-8") as file:
                file.write(page(report))
        except OSError as error:  # the test is over by then: its end counts more
            said = "relun: {}: {}".format(arguments.html, error.strerror)
            work.output.show_lines([[(said, "bold red")]], error=True)
            return exit_of(report) or Exit.REFUSED
    return exit_of(report)


def _logins(plan: "Plan") -> "dict[str, Login]":
    from relun.cli.addresses import hide, login_of

    return {clone.target: login_of(*hide([clone.target])) for clone in plan.clones}


def exit_of(report: "DrReport") -> Exit:
    """Return the exit code: what is left behind counts more than what did not come up."""
    if not report.clean:
        return Exit.INTERRUPTED
    return Exit.DONE if report.passed else Exit.DIFFERENT


def report_object(report: "DrReport") -> "dict[str, Any]":
    """Return the report as JSON object."""
    return {
        "schema": SCHEMA,
        "verb": "pool test-dr",
        "exit": int(exit_of(report)),
        "title": report.title,
        "passed": report.passed,
        "clean": report.clean,
        "stopped": report.stopped,
        "began": report.began,
        "ended": report.ended,
        "seconds": round(report.seconds, 3),
        "recovery_seconds": _rounded(report.recovery_seconds),
        "relun": report.relun,
        "pool": dict(report.pool._asdict()),
        "clones": [_clone_object(clone) for clone in report.clones],
        "vms": [_vm_object(vm) for vm in report.vms],
        "clean_up": [
            {
                "what": done.what,
                "subject": done.subject,
                "seconds": round(done.seconds, 3),
                "error": _problem(done.problem),
            }
            for done in report.clean_up
        ],
        "standing": list(report.standing),
        "kept": list(report.kept),
    }


def _clone_object(clone: "CloneReport") -> "dict[str, Any]":
    found = dict(clone._asdict(), hosts=list(clone.hosts), seconds=round(clone.seconds, 3))
    found["error"] = _problem(found.pop("problem"))
    return found


def _vm_object(vm: "VmReport") -> "dict[str, Any]":
    from relun.cli.objects import findings_object

    found = dict(vm._asdict(), notes=findings_object(vm.notes))
    for key in ("restore_seconds", "start_seconds", "wait_seconds", "up_after"):
        found[key] = _rounded(found[key])
    found["error"] = _problem(found.pop("problem"))
    return found


def _problem(problem: "RelunError | None") -> "dict[str, Any] | None":
    return described(problem) if problem is not None else None


def _rounded(value: "float | None") -> "float | None":
    return round(value, 3) if value is not None else None


def report_lines(report: "DrReport") -> "list[Line]":
    """Return the report as text."""
    good = report.passed and report.clean
    style = "bold green" if good else "bold red"
    shown: list[Line] = [[(clean(report.title), "bold"), (": " + verdict(report), style)]]
    reached = seconds(report.recovery_seconds, "not reached")
    whole = seconds(report.seconds)
    shown.append([("  recovery time  {} (the whole test {})".format(reached, whole), "")])
    shown.append([("  began          {}, relun {}".format(report.began, report.relun), "")])
    shown.append([("  pool           {} {}".format(report.pool.url, clean(report.pool.name)), "")])
    for clone in report.clones:
        shown += _clone_lines(clone)
    for vm in report.vms:
        shown += _vm_lines(vm)
    shown.append([])
    if report.stopped:
        shown.append([("A signal came; what had not begun was left out.", "yellow")])
    if report.standing:
        shown.append([("Left behind:", "bold red")])
        shown += [[("  " + clean(line), "bold")] for line in report.standing]
        shown += [_told(done.problem) for done in report.clean_up if done.problem]
    else:
        shown.append([("Nothing else is left." if report.kept else "Nothing is left.", "bold")])
    shown += [[("  kept: " + clean(line), "")] for line in report.kept]
    return shown


def _clone_lines(clone: "CloneReport") -> "list[Line]":
    said = "  clone  {}".format(clean(clone.target))
    shown: list[Line] = [[(said, ""), ("  {}".format(seconds(clone.seconds)), "dim")]]
    if clone.new_sr:
        shown.append(
            [
                ("         SR   {} -> ".format(clone.old_sr), ""),
                (clone.new_sr, "bold"),
                ("  {}".format(clean(clone.name)), ""),
            ]
        )
        hosts = ", ".join(map(clean, clone.hosts))
        facts = "SCSI id {}, {}, on {}".format(clone.scsi_id, count(clone.vdis, "VDI"), hosts)
        shown.append([("         " + facts, "")])
    return [*shown, _told(clone.problem)] if clone.problem else shown


def _vm_lines(vm: "VmReport") -> "list[Line]":
    up = vm.up_after is not None
    said = vm_verdict(vm) + (" after " + seconds(vm.up_after) if up else "")
    shown: list[Line] = [
        [
            ("  VM     {}: ".format(clean(vm.original)), ""),
            (said, "bold green" if up else "bold red"),
        ]
    ]
    if vm.uuid:
        shown.append([("         {} -> ".format(vm.original_uuid), ""), (vm.uuid, "bold")])
    times = (
        ("restored", vm.restore_seconds),
        ("started", vm.start_seconds),
        (vm.waited_for, vm.wait_seconds),
    )
    facts = ["{} {}".format(word, seconds(value)) for word, value in times if value is not None]
    facts += [part for part in (vm.address, vm.agent and "agent " + vm.agent) if part]
    if facts:
        shown.append([("         " + clean(", ".join(facts)), "dim")])
    shown += finding_lines(vm.notes, remedies=False)
    return [*shown, _told(vm.problem)] if vm.problem else shown


def _told(problem: "RelunError") -> "Line":
    return [("         " + error_title(problem), "red")]


def _writable(path: str) -> bool:
    if os.path.exists(path):
        return not os.path.isdir(path) and os.access(path, os.W_OK)
    return os.access(os.path.dirname(path) or ".", os.W_OK)
