"""The report of a DR test as one HTML page that needs nothing else: no script, font or picture.

Every text of the pool or the plan goes through ``_text``. On a narrow screen each row of a table
becomes a block; the roles keep it a table for those who hear it. What a colour says is in words.
"""

from html import escape

from relun.cli.pool.dr_style import STYLE
from relun.cli.pool.dr_words import clean_up_word, seconds, verdict, vm_verdict
from relun.cli.sizes import count
from relun.cli.words import clean, entry, error_title, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from relun.core.errors import RelunError
    from relun.pool.dr_report import CleanUp, CloneReport, DrReport, VmReport
    from relun.pool.events import Event

# Without it a mistake here could make the page load something; with it no browser does.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_OK, _BAD = "ok", "bad"
_ICONS = {_OK: "✔", _BAD: "✘"}


def page(report: "DrReport") -> str:
    """Return the page."""
    good = report.passed and report.clean
    said = verdict(report)
    said = said[0].upper() + said[1:]
    sections = (
        _section("Summary", _summary(report)),
        _section("What came up, and what did not", _vms(report)),
        _section("Which copies", _clones(report)),
        _section("Cleaning up", _cleaning(report)),
        _section("Every step", _steps(report.steps)),
        _section("Versions", _facts(_versions(report))),
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        "<title>{title}: {said}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<header>\n<p class="kind">Disaster recovery test</p>\n<h1>{title}</h1>\n'
        "{mark}\n</header>\n"
        "<main>\n{sections}</main>\n"
        "<footer><p>Made by relun {relun}. Times are UTC.</p></footer>\n</body>\n</html>\n"
    ).format(
        policy=_POLICY,
        title=_text(report.title),
        said=_text(said.lower()),
        style=STYLE,
        mark='<p class="verdict {}">{}</p>'.format(_OK if good else _BAD, _marked(good, said)),
        sections="".join(sections),
        relun=_text(report.relun),
    )


def _summary(report: "DrReport") -> str:
    up = sum(vm.up_after is not None for vm in report.vms)
    reached = report.recovery_seconds
    facts = [
        ("Began", _time(report.began)),
        ("Ended", _time(report.ended)),
        (
            "Recovery time (RTO)",
            seconds(reached) if reached is not None else "not reached: not everything came up",
        ),
        ("Whole test, with cleaning up", seconds(report.seconds)),
        ("VMs up", "{} of {}".format(up, len(report.vms))),
        ("Pool", _text(report.pool.name) or "–"),
        ("Address of the pool", _text(report.pool.url)),
    ]
    if report.stopped:
        facts.append(("Stopped", "a signal came; what had not begun was left out"))
    return _facts(facts)


def _vms(report: "DrReport") -> str:
    heads = ("VM", "Result", "Up after", "Restored in", "Started in", "Waited for", "Guest")
    return _table("VMs in the order they were started", heads, [_vm(vm) for vm in report.vms])


def _vm(vm: "VmReport") -> "list[str]":
    name = _text(vm.original)
    if vm.name:
        made = "{}, {}".format(vm.name, count(vm.disks, "disk"))
        name += '<span class="more">{}</span>'.format(_text(made))
        name += "<code>{}</code>".format(_text(vm.uuid))
    for note in vm.notes:
        name += '<span class="more">{}</span>'.format(_text(title(note.code, note.fields)))
    guest = [part for part in (vm.address, vm.agent and "agent " + vm.agent) if part]
    return [
        name,
        _marked(vm.up_after is not None, vm_verdict(vm)) + _why(vm.problem),
        _took(vm.up_after),
        _took(vm.restore_seconds),
        _took(vm.start_seconds),
        _text(vm.waited_for or "nothing") + _took(vm.wait_seconds, "", ","),
        _text(", ".join(guest)) or "–",
    ]


def _clones(report: "DrReport") -> str:
    heads = ("Copy", "Result", "SCSI id", "SR it is a copy of", "SR of the copy", "Hosts", "Took")
    return _table("Copies that were attached", heads, [_clone(each) for each in report.clones])


def _clone(clone: "CloneReport") -> "list[str]":
    said = "attached before" if clone.before else "attached"
    name = "<code>{}</code>".format(_text(clone.target))
    if clone.name:
        name += '<span class="more">{}</span>'.format(
            _text("{}, {}".format(clone.name, count(clone.vdis, "VDI")))
        )
    good = clone.problem is None
    return [
        name,
        _marked(good, said if good else "not attached") + _why(clone.problem),
        _code(clone.scsi_id),
        _code(clone.old_sr),
        _code(clone.new_sr),
        _text(", ".join(clone.hosts)) or "–",
        _took(clone.seconds),
    ]


def _cleaning(report: "DrReport") -> str:
    shown = ""
    if report.standing:
        shown += "<p>{}</p>".format(_marked(False, "Left behind:")) + _list(report.standing)
    else:
        said = "Nothing is left of the test." if not report.kept else "Nothing else is left."
        shown += "<p>{}</p>".format(_marked(True, said))
    if report.kept:
        shown += "<p>Kept, as the plan says or because it was there before:</p>"
        shown += _list(report.kept)
    if report.clean_up:
        heads = ("What", "Of", "Result", "Took")
        shown += _table("Cleaning up", heads, [_cleaned(each) for each in report.clean_up])
    return shown


def _cleaned(done: "CleanUp") -> "list[str]":
    good = done.problem is None
    said = _marked(good, "done" if good else "failed") + _why(done.problem)
    return [clean_up_word(done.what), _text(done.subject), said, _took(done.seconds)]


def _steps(steps: "Sequence[Event]") -> str:
    rows = []
    for event in steps:
        said = _marked(event.state in ("done", "undone"), event.state)
        said += '<span class="more">{}</span>'.format(_text(event.text)) if event.text else ""
        rows.append(
            [
                "<code>{}</code>".format(_text(event.step)),
                _text(event.subject) or "–",
                _text(event.work),
                said,
                _took(event.seconds),
            ]
        )
    return _table("Steps in the order they ended", ("Step", "On", "For", "Result", "Took"), rows)


def _versions(report: "DrReport") -> "list[tuple[str, str]]":
    facts = [("relun", _text(report.relun)), ("Pool's master", _text(report.pool.master))]
    return facts + [(_text(key), _text(value)) for key, value in report.pool.versions.items()]


# --- parts; what they take is HTML already, unless it goes through _text


def _section(heading: str, content: str) -> str:
    name = heading.lower().replace(",", "").replace(" ", "-")
    return '<section aria-labelledby="{0}">\n<h2 id="{0}">{1}</h2>\n{2}\n</section>\n'.format(
        name, heading, content
    )


def _facts(facts: "Sequence[tuple[str, str]]") -> str:
    rows = ["<div><dt>{}</dt><dd>{}</dd></div>".format(*fact) for fact in facts]
    return "<dl>\n{}\n</dl>".format("\n".join(rows))


def _table(caption: str, heads: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> str:
    head = "".join('<th scope="col" role="columnheader">{}</th>'.format(each) for each in heads)
    body = ""
    for first, *others in rows:
        body += '<tr role="row"><th scope="row" role="rowheader">{}</th>'.format(first)
        for name, cell in zip(heads[1:], others):
            body += '<td role="cell" data-name="{}"><div>{}</div></td>'.format(name, cell)
        body += "</tr>\n"
    return (
        '<table role="table">\n<caption>{}</caption>\n'
        '<thead role="rowgroup"><tr role="row">{}</tr></thead>\n'
        '<tbody role="rowgroup">\n{}</tbody>\n</table>'
    ).format(caption, head, body)


def _list(items: "Sequence[str]") -> str:
    return "<ul>{}</ul>".format("".join("<li>{}</li>".format(_text(item)) for item in items))


def _marked(good: bool, said: str) -> str:
    kind = _OK if good else _BAD
    return '<span class="{}"><span aria-hidden="true">{}</span> {}</span>'.format(
        kind, _ICONS[kind], _text(said)
    )


def _why(problem: "RelunError | None") -> str:
    if problem is None:
        return ""
    remedy = entry(problem.code).remedy
    shown = '<span class="more">{}</span>'.format(_text(error_title(problem)))
    return shown + ('<span class="more">{}</span>'.format(_text(remedy)) if remedy else "")


def _code(text: str) -> str:
    return "<code>{}</code>".format(_text(text)) if text else "–"


def _took(value: "float | None", unknown: str = "–", before: str = "") -> str:
    shown = seconds(value, unknown)
    return '{} <span class="time">{}</span>'.format(before, shown) if shown else ""


def _time(text: str) -> str:
    shown = text.replace("T", " ").replace("Z", " UTC")
    return '<time datetime="{}">{}</time>'.format(_text(text), _text(shown))


def _text(text: str) -> str:
    return escape(clean(text))
