"""The verbs that read: inspect, plan (also as resign --dry-run), verify."""

from relun.cli import asked
from relun.cli.exits import Exit
from relun.cli.output import Output
from relun.cli.session import one_group, opened, run_groups
from relun.core import verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.report import Report

_ONE_SR_ONLY = {
    "plan": asked.ONE_SR_ONLY[:3],
    "resign": asked.ONE_SR_ONLY,
    "verify": ("--against",),
}


def read(arguments: "argparse.Namespace") -> Exit:
    """Read each SR among the targets."""
    verb = arguments.verb
    groups = one_group(arguments, _ONE_SR_ONLY.get(verb, ()))
    output = Output(arguments, len(groups) > 1)

    def act(report: "Report") -> None:
        if verb == "inspect":
            report.repository = verbs.inspect(report.devices)
        elif verb == "verify":
            _verify(arguments, report)
        else:
            _plan(arguments, report)

    return run_groups("plan" if verb == "resign" else verb, groups, output, act)


def _plan(arguments: "argparse.Namespace", report: "Report") -> None:
    report.plan = verbs.plan(report.devices, asked.options(arguments, report))
    if arguments.map_out:
        asked.save_map(report, arguments.map_out)


def _verify(arguments: "argparse.Namespace", report: "Report") -> None:
    with opened(arguments.against) as against:
        report.differences = verbs.verify(report.devices, against or None)
    if report.differences:
        report.exit = Exit.DIFFERENT
