"""The verbs that change LUNs: resign, recover, undo, seal."""

from relun.cli import asked, confirm
from relun.cli.output import Output
from relun.cli.session import one_group, run_groups
from relun.cli.signals import PutOff
from relun.core import verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.exits import Exit
    from relun.cli.report import Report


def change(arguments: "argparse.Namespace") -> "Exit":
    """Change each SR among the targets."""
    verb = arguments.verb
    groups = one_group(arguments, asked.ONE_SR_ONLY if verb == "resign" else ())
    output = Output(arguments, len(groups) > 1, json_when_piped=True)
    put_off = PutOff(for_good=arguments.ends_process)

    def act(report: "Report") -> None:
        try:
            if verb == "resign":
                _resign(arguments, report, put_off)
            else:
                _confirm(arguments, report, put_off)
                report.outcome = getattr(verbs, verb)(report.devices)
        finally:
            report.signal = put_off.name

    with put_off:
        return run_groups(verb, groups, output, act, writable=True, stopped=lambda: put_off.name)


def _resign(arguments: "argparse.Namespace", report: "Report", put_off: PutOff) -> None:
    options = asked.options(arguments, report)
    if arguments.map_out:
        asked.check_writable(arguments.map_out)
    confirm.expect(report, arguments.expect_serial, arguments.original)
    _confirm(arguments, report, put_off)
    report.outcome = verbs.resign(report.devices, options, put_off)
    report.plan = report.outcome.plan
    if arguments.map_out:
        asked.save_map(report, arguments.map_out)


def _confirm(arguments: "argparse.Namespace", report: "Report", put_off: PutOff) -> None:
    if report.verb in confirm.QUESTIONS and not arguments.yes:
        put_off.let_through(lambda: confirm.ask(report))
