"""Words that the text and the page of a DR test share."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.pool.dr_report import DrReport, VmReport

_CLEAN_UP = {"VM.destroy": "VM removed", "detach": "SR detached", "keep": "mark removed"}


def verdict(report: "DrReport") -> str:
    """Return how the test ended, in one line."""
    up = sum(vm.up_after is not None for vm in report.vms)
    if report.passed:
        said = "passed, everything came up"
    else:
        said = "failed, {} of {} VMs came up".format(up, len(report.vms))
    return said if report.clean else said + "; something is left behind"


def vm_verdict(vm: "VmReport") -> str:
    """Return how far a VM came."""
    if vm.up_after is not None:
        return "up" if vm.waited_for else "started"
    if vm.restore_seconds is None:
        return "not restored"
    return "not started" if vm.start_seconds is None else "did not come up"


def clean_up_word(what: str) -> str:
    """Return what was done at the end."""
    return _CLEAN_UP.get(what, what)


def seconds(value: "float | None", unknown: str = "–") -> str:
    """Return a time as a person reads it."""
    if value is None:
        return unknown
    if value < 60:
        return "{:.1f} s".format(value)
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return "{} h {} min {} s".format(hours, minutes, rest)
    return "{} min {} s".format(minutes, rest)
