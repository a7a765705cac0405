"""Runs a verb for each SR among the targets: an error of one does not stop the others."""

from relun.cli.exits import Exit, worst
from relun.cli.report import Report
from relun.cli.targets import open_target
from relun.core.errors import DeviceError, Interrupted, Refused, RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from relun.cli.output import Output
    from relun.core.device import Device

    Act = Callable[[Report], None]
    Group = tuple[str, ...]


def group_paths(paths: "Sequence[str]") -> "list[Group]":
    """Return the paths of the LUNs of each SR."""
    if len(paths) == 1:
        return [(paths[0],)]
    from relun.core.grouping import Membership, group, membership

    found = []
    for path in paths:
        try:
            with open_target(path) as device:
                found.append(membership(device))
        except DeviceError:
            found.append(Membership())  # told when its turn comes
    return [tuple(paths[number] for number in numbers) for numbers in group(found)]


def one_group(arguments: "argparse.Namespace", options: "Sequence[str]") -> "list[Group]":
    """Return the groups of the targets; ``options`` make sense for one SR only."""
    groups = group_paths(arguments.targets)
    if len(groups) > 1:
        for option in options:
            if getattr(arguments, option.strip("-").replace("-", "_")):
                count = f"these targets are {len(groups)} SRs"
                arguments.parser.error(f"{option} is for one SR, and {count}")
    return groups


def run_groups(
    verb: str,
    groups: "Sequence[Group]",
    output: "Output",
    act: "Act",
    writable: bool = False,
    stopped: "Callable[[], str]" = str,
) -> Exit:
    """Run ``act`` for each SR and show its report; return the exit code of them all.

    ``stopped`` returns the name of a signal that came: then what has not begun is left alone.
    """
    codes = []
    for number, paths in enumerate(groups):
        report = Report(verb, paths)
        output.progress(number, len(groups), report.name)
        try:
            if number and stopped():
                report.fail(Refused("not-started", device=report.name, signal=stopped()))
            else:
                _run_one(report, act, writable)
            output.show(report)
        finally:
            for device in report.devices:
                device.close()
        codes.append(report.exit)
    output.finish()
    return worst(codes)


class opened:  # noqa: N801 - used as a function
    """Context: the devices at these paths, opened for reading. Raise DeviceError."""

    def __init__(self, paths: "Sequence[str]") -> None:
        self._paths = paths
        self._devices: list[Device] = []

    def __enter__(self) -> "list[Device]":
        try:
            for path in self._paths:
                self._devices.append(open_target(path))
        except DeviceError:
            self.__exit__()
            raise
        return self._devices

    def __exit__(self, *_exc: object) -> None:
        for device in self._devices:
            device.close()


def _run_one(report: Report, act: "Act", writable: bool) -> None:
    try:
        for path in report.paths:
            report.devices += (open_target(path, writable),)
        act(report)
    except RelunError as error:
        report.fail(error)
    except Exception as error:
        report.fail(_bug(report, error))


def _bug(report: Report, error: "Exception") -> RelunError:
    """Return the error for what should never happen; the LUN itself says whether it was changed."""
    import traceback

    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    fields = {"device": report.name, "cause": repr(error), "trace": trace}
    try:
        from relun.core.repository import IN_PROGRESS, load

        in_progress = bool(report.devices) and load(report.devices).state == IN_PROGRESS
    except Exception:
        in_progress = True  # not known: the more careful answer
    return Interrupted("internal", **fields) if in_progress else Refused("internal", **fields)
